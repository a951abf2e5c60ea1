/* The page works without this file. It makes eight things nicer: places that complete themselves, saved travellers, the hold's clock, swapping
   ends, counting travellers, the display switch, copying a reference, and telling a screen reader what htmx changed. */
(() => {
  "use strict";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const icon = (name) => {
    const sprite = document.querySelector(".icon use").getAttribute("href").split("#")[0];
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    use.setAttribute("href", `${sprite}#${name}`);
    svg.append(use);
    return svg;
  };
  const say = (words) => {
    const live = document.getElementById("live");
    if (!live) return;
    live.textContent = "";
    setTimeout(() => (live.textContent = words), 60);
  };

  /* Places: the visible input keeps what is typed; a hidden one of the same name carries the code once one is chosen. */
  const place = (box) => {
    const input = box.querySelector("input");
    const code = make("input", { type: "hidden", name: input.name, value: input.dataset.code || input.value });
    const list = make("ul", { class: "sheet", role: "listbox", id: `${input.id}-list`, "aria-label": `${input.labels[0].textContent}: ${box.dataset.list}`, hidden: "" });
    let options = [], at = -1, timer = 0, asked = 0, running = null;
    input.removeAttribute("name");
    input.setAttribute("role", "combobox");
    input.setAttribute("aria-autocomplete", "list");
    input.setAttribute("aria-expanded", "false");
    input.setAttribute("aria-controls", list.id);
    box.append(code, list);

    const close = () => {
      list.hidden = true;
      at = -1;
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
    };
    const point = (index) => {
      at = options.length ? (index + options.length) % options.length : -1;
      [...list.children].forEach((node, i) => node.setAttribute("aria-selected", String(i === at)));
      if (at < 0) return;
      input.setAttribute("aria-activedescendant", list.children[at].id);
      list.children[at].scrollIntoView({ block: "nearest" });
    };
    const choose = (index) => {
      const found = options[index];
      if (!found) return;
      input.value = `${found.city} (${found.code})`;
      code.value = found.code;
      input.removeAttribute("aria-invalid");
      code.dispatchEvent(new Event("change", { bubbles: true }));
      close();
    };
    const show = (found) => {
      options = found;
      list.replaceChildren(...found.map((one, i) => {
        const item = make("li", { role: "option", id: `${list.id}-${i}`, "aria-selected": "false" },
          make("b", {}, one.city), make("small", {}, [one.name, one.countryName].filter(Boolean).join(", ")), make("code", {}, one.code));
        item.addEventListener("pointerdown", (event) => { event.preventDefault(); choose(i); });
        return item;
      }));
      if (!found.length) list.append(make("li", { class: "none", role: "option", "aria-disabled": "true" }, box.dataset.none));
      list.hidden = false;
      input.setAttribute("aria-expanded", "true");
      say(found.length ? box.dataset.some.replace("{n}", found.length) : box.dataset.none);
      if (found.length) point(0);
    };
    const ask = async () => {
      const turn = ++asked, words = input.value.trim();
      running?.abort();
      if (words.length < 2) return close();
      running = new AbortController();
      try {
        const address = `${box.dataset.combo}?limit=8&q=${encodeURIComponent(words)}`;
        const answer = await fetch(address, { headers: { Accept: "application/json" }, signal: running.signal });
        if (answer.ok && turn === asked && document.activeElement === input) show((await answer.json()).data);
      } catch { /* offline, or overtaken by the next letter: typing the code still works */ }
    };
    input.addEventListener("input", () => {
      code.value = input.value;
      clearTimeout(timer);
      timer = setTimeout(ask, 120);
    });
    input.addEventListener("focus", () => input.select());
    input.addEventListener("blur", () => { asked++; if (!list.hidden && at >= 0 && input.value.trim().length > 1 && code.value === input.value) choose(at); close(); });
    input.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        if (list.hidden) ask(); else point(at + (event.key === "ArrowDown" ? 1 : -1));
      } else if (event.key === "Enter" && !list.hidden && at >= 0) {
        event.preventDefault();
        choose(at);
      } else if (event.key === "Escape" && !list.hidden) {
        event.stopPropagation();
        close();
      }
    });
    box.refresh = (text, value) => { input.value = text; code.value = value; };
    box.state = () => [input.value, code.value];
  };

  /* The button that turns the journey round exists only where it works. */
  const swap = (holder) => {
    const boxes = all("[data-combo]", holder);
    const button = make("button", { type: "button", class: "swap", "aria-label": holder.dataset.swap }, icon("swap"));
    button.addEventListener("click", () => {
      const [one, two] = [boxes[0].state(), boxes[1].state()];
      boxes[0].refresh(...two);
      boxes[1].refresh(...one);
      say(holder.dataset.swap);
    });
    boxes[0].after(button);
  };

  const stepper = (box) => {
    const input = box.querySelector("input");
    const less = make("button", { type: "button", "aria-label": box.dataset.less }, icon("minus"));
    const more = make("button", { type: "button", "aria-label": box.dataset.more }, icon("plus"));
    const sync = () => {
      less.disabled = Number(input.value) <= Number(input.min);
      more.disabled = Number(input.value) >= Number(input.max);
    };
    const move = (by) => {
      if (by > 0) input.stepUp(); else input.stepDown();
      input.dispatchEvent(new Event("change", { bubbles: true }));
      say(`${input.labels[0].firstChild.textContent} ${input.value}`);
    };
    less.addEventListener("click", () => move(-1));
    more.addEventListener("click", () => move(1));
    input.addEventListener("change", sync);
    input.before(less);
    input.after(more);
    box.dataset.ready = "";
    sync();
  };

  /* A summary that says what was chosen inside: data-sum="1 traveller|{n} travellers". */
  const sum = (menu) => {
    const words = menu.querySelector("[data-sum]");
    if (!words) return;
    const [one, many] = words.dataset.sum.split("|");
    menu.addEventListener("change", () => {
      const count = all("input[type=number]", menu).reduce((total, input) => total + Number(input.value), 0);
      const cabin = menu.querySelector("select, [type=radio]:checked");
      const label = cabin ? (cabin.selectedOptions?.[0].textContent ?? cabin.labels[0].textContent).trim() : "";
      words.textContent = [(count === 1 ? one : many).replace("{n}", count), label].filter(Boolean).join(", ");
    });
  };

  /* The hold: the server says how many seconds are left, so a wrong clock here misleads nobody. */
  const hold = (box) => {
    const end = Date.now() + Number(box.dataset.hold) * 1000;
    const digits = box.querySelector("[data-digits]");
    const said = new Set();
    const once = (key) => { if (!said.has(key)) { said.add(key); say(box.dataset[key]); } };
    const tick = () => {
      if (!box.isConnected) return clearInterval(beat);
      const left = Math.max(0, Math.round((end - Date.now()) / 1000));
      const [hours, minutes] = [Math.floor(left / 3600), Math.floor(left / 60) % 60];
      const two = (number) => String(number).padStart(2, "0");
      digits.textContent = `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(left % 60)}`;
      box.toggleAttribute("data-near", left <= 300 && left > 0);
      if (left <= 300 && left > 60) once("five");
      if (left <= 60 && left > 0) once("one");
      if (left > 0) return;
      clearInterval(beat);
      once("over");
      box.setAttribute("data-over-now", "");
      box.querySelector("p").textContent = box.dataset.over;
      box.querySelector("[data-extend]")?.remove();
      box.querySelector("[data-way-on]").hidden = false;
    };
    const beat = setInterval(tick, 1000);
    if (Number(box.dataset.hold) <= 300) said.add("five");
    tick();
  };

  const localTime = (node) => {
    const at = new Date(node.dateTime);
    if (!isNaN(at)) node.textContent = at.toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  };

  const theme = (form) => form.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button?.value) return;
    event.preventDefault();
    document.documentElement.dataset.theme = button.value;
    all("button", form).forEach((one) => one.setAttribute("aria-pressed", String(one === button)));
    const body = new URLSearchParams(new FormData(form));
    body.set("theme", button.value);
    fetch(form.action, { method: "POST", body, redirect: "manual" });
  });

  const copy = (button) => {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      say(button.dataset.done);
      const words = button.lastChild, before = words.textContent;
      words.textContent = button.dataset.done;
      setTimeout(() => (words.textContent = before), 2000);
    });
  };

  /* A password that can be looked at: data-peek="Show|Hide". Hidden again before it is sent, so that no browser keeps it as a text. */
  const peek = (input) => {
    const [show, hide] = input.dataset.peek.split("|"), button = document.createElement("button");
    Object.assign(button, { type: "button", className: "peek", textContent: show });
    button.setAttribute("aria-controls", input.id);
    button.setAttribute("aria-pressed", "false");
    const turn = (open) => {
      input.type = open ? "text" : "password";
      button.textContent = open ? hide : show;
      button.setAttribute("aria-pressed", String(open));
    };
    button.addEventListener("click", () => { turn(input.type === "password"); input.focus(); });
    input.form?.addEventListener("submit", () => turn(false));
    input.after(button);
  };

  /* A saved traveller fills the fields of one who flies; without scripts the button beside the list does. */
  const fill = (row) => {
    const list = row.querySelector("select");
    row.querySelector("button").hidden = true;
    list.addEventListener("change", () => {
      for (const [name, value] of Object.entries(list.selectedOptions[0].dataset)) document.getElementById(row.dataset.fill + name).value = value;
      if (list.value) say(list.selectedOptions[0].textContent);
    });
  };

  /* The seat map works without this: here a choice shows at its traveller's name and in the list, the next traveller's turn comes by
     itself, and ↑ ↓ move by rows. */
  const seatmap = (form) => {
    const who = all("[name=who]", form);
    form.addEventListener("change", ({ target }) => {
      const number = target.name.split(".")[1];
      if (!number) return;
      document.getElementById(`list-${number}`).value = target.value;
      form.querySelector(`#who-${number}`).labels[0].querySelector("small").textContent = target.ariaLabel;
      say(target.ariaLabel);
    });
    form.addEventListener("click", ({ target, detail }) => {
      if (!detail || !target.name?.startsWith("seat.")) return;
      const next = who.find((one) => !form.querySelector(`[name="seat.${one.value}"]:checked`));
      if (next) next.checked = true;
    });
    form.addEventListener("keydown", (event) => {
      const step = { ArrowUp: "previousElementSibling", ArrowDown: "nextElementSibling" }[event.key], cell = event.target.closest("td");
      if (!step || !cell) return;
      event.preventDefault();
      let row = cell.parentElement[step], found;
      for (; row && !found; row = row[step]) found = row.cells[cell.cellIndex].querySelector(`.${event.target.className}:enabled`);
      found?.focus();
      found?.click();
    });
    document.querySelector("[data-seatlist]").addEventListener("change", ({ target }) => {
      all(`[name="${target.name}"]`, form).forEach((one) => (one.checked = one.value === target.value));
    });
  };

  /* "All" or "only some" with boxes to tick: a tick means some, and all unticks; the server reads it so without this, too. */
  const picks = (group) => group.addEventListener("change", ({ target }) => {
    const [whole, some] = all("[type=radio]", group);
    if (target.type === "checkbox") some.checked = true;
    else if (target === whole) all("[type=checkbox]", group).forEach((one) => (one.checked = false));
  });

  const pieces = { "[data-seatmap]": seatmap, "[data-picks]": picks, "[data-fill]": fill, "[data-combo]": place, "[data-swap]": swap, "[data-stepper]": stepper, "[data-menu]": sum, "[data-hold]": hold,
    "[data-local-time]": localTime, "[data-theme-switch]": theme, "[data-copy]": copy, "[data-peek]": peek };
  const wake = (root) => {
    for (const [selector, start] of Object.entries(pieces)) {
      for (const node of all(selector, root).concat(root.matches?.(selector) ? root : [])) {
        if (!node.woken) { node.woken = true; start(node); }
      }
    }
    root.querySelector("[data-focus]")?.focus();
  };

  /* Menus close on Escape and on a click elsewhere, and give the focus back. */
  document.addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && event.target.closest?.("details.menu[open]");
    if (open) { open.open = false; open.querySelector("summary").focus(); }
  });
  document.addEventListener("click", (event) => {
    for (const menu of all("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });

  /* A form on its way shows it, and is not sent twice by an impatient second click; coming back with the back button frees it. */
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    if (form.getAttribute("aria-busy") === "true") return event.preventDefault();
    form.setAttribute("aria-busy", "true");
  });
  addEventListener("pageshow", () => all("form[aria-busy]").forEach((form) => form.removeAttribute("aria-busy")));

  /* After a swap: wake the new pieces, say what changed ([data-say] in it), and never leave the focus on nothing. */
  document.addEventListener("htmx:after:swap", (event) => {
    const aim = event.detail.ctx.target;
    const target = typeof aim === "string" ? document.querySelector(aim) : aim;
    const root = (target?.isConnected ? target : target?.id && document.getElementById(target.id)) || document.body;
    all("form[aria-busy]").forEach((form) => form.removeAttribute("aria-busy"));
    wake(root);
    const words = root.querySelector("[data-say]") ?? (root.matches("[data-say]") ? root : null);
    if (words) say(words.dataset.say || words.textContent);
    if (document.activeElement === document.body) {
      const next = root.querySelector("[data-focus], h1, h2") ?? root;
      if (!next.hasAttribute("tabindex")) next.tabIndex = -1;
      next.focus({ preventScroll: true });
    }
  });
  wake(document);
})();
