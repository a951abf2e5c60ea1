/* Passkeys: a form marked data-passkey asks the device and sends its answer like any other field. Without this file its sentence stays. */
(() => {
  "use strict";
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const keys = (list) => (list ?? []).map((one) => ({ ...one, id: bytes(one.id) }));
  const request = (told) => ({ ...told, challenge: bytes(told.challenge), allowCredentials: keys(told.allowCredentials) });
  const creation = (told) => ({ ...told, challenge: bytes(told.challenge), user: { ...told.user, id: bytes(told.user.id) }, excludeCredentials: keys(told.excludeCredentials) });
  const told = (one) => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (one.response[name]) response[name] = text(one.response[name]);
    }
    if (one.response.getTransports) response.transports = one.response.getTransports();
    return JSON.stringify({ id: one.id, rawId: text(one.rawId), type: one.type, response, clientExtensionResults: one.getClientExtensionResults() });
  };
  const ask = async (form, how) => {
    const answer = await fetch(form.dataset.passkey, { headers: { Accept: "application/json" }, cache: "no-store" });
    if (!answer.ok || !answer.headers.get("content-type")?.startsWith("application/json")) throw new Error("no challenge");
    const wanted = await answer.json();
    const make = "create" in form.dataset;
    return told(make ? await navigator.credentials.create({ publicKey: creation(wanted) }) : await navigator.credentials.get({ publicKey: request(wanted), ...how }));
  };
  /* Where the browser can, the list of the e-mail field offers passkeys, too. A challenge lasts five minutes, so it is asked for anew before; the button comes first. */
  let waiting, renewal;
  const stop = () => { clearTimeout(renewal); waiting?.abort(); };
  const offer = async (form) => {
    stop();
    waiting = new AbortController();
    renewal = setTimeout(offer, 240000, form);
    try {
      form.elements.answer.value = await ask(form, { mediation: "conditional", signal: waiting.signal });
      stop();
      form.submit();
    } catch { /* None was chosen, or something else was quicker: the button is still there. */ }
  };
  const offers = async (form) => "autofill" in form.dataset && await PublicKeyCredential.isConditionalMediationAvailable?.() && offer(form);
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    const button = form.querySelector("#passkey"), without = form.querySelector("[data-without]"), said = form.querySelector("[data-said]");
    if (!button) continue;
    if (!window.PublicKeyCredential) { without.textContent = form.dataset.cannot; continue; }
    button.hidden = false;
    without.hidden = true;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (button.disabled) return;
      button.disabled = true;
      said.hidden = true;
      stop();
      try {
        form.elements.answer.value = await ask(form);
        form.submit();
      } catch {
        button.disabled = false;
        said.textContent = form.dataset.failed;
        said.hidden = false;
        offers(form);
      }
    });
    offers(form);
  }
})();
