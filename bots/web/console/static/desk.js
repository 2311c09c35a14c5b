// The console works with plain forms; this adds what a page cannot do: news, keys, and ease.

const $ = (id) => document.getElementById(id);
const { csrf, lost, failed, seen } = document.body.dataset;
const PART = { "X-Part": "1" };
// A short gap, as when the server restarts, is nobody's business.
const QUIET_GAP_MS = 2_500;
const LONGEST_WAIT_MS = 30_000;

// --- news ----------------------------------------------------------------------------------------

let reading = null;
let again = false;
let misses = 0;
let retry = 0;

/** Fetch this page anew and take over each part that has changed; what is being typed stays. */
async function refresh() {
  if (reading) {
    again = true;
    return reading;
  }
  reading = (async () => {
    do {
      again = false;
      await read();
    } while (again && !misses);
  })();
  try {
    await reading;
  } finally {
    reading = null;
  }
}

/** How long somebody waits, and who is late, is told on a quiet desk as well. */
function keepTime() {
  if (seen !== undefined && !document.hidden) refresh();
}

/** One look; what did not come is asked for again, ever more slowly. */
async function read() {
  clearTimeout(retry);
  const html = await thisPage();
  if (html === null) {
    misses += 1;
    say(lost);
    retry = setTimeout(refresh, Math.min(LONGEST_WAIT_MS, 1_000 * 2 ** misses));
    return;
  }
  if (misses) withdraw(lost);
  misses = 0;
  if (html) takeOver(html);
}

/** This page as the server shows it now: null if it may come later, empty if it will not. */
async function thisPage() {
  try {
    const response = await fetch(location.href, { headers: PART });
    if (response.ok) return await response.text();
    if (response.status === 401) location.reload();
    return response.status === 429 || response.status >= 500 ? null : "";
  } catch {
    return null;
  }
}

function takeOver(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  for (const old of document.querySelectorAll("[data-live]")) {
    const part = fresh.getElementById(old.id);
    if (!part || part.innerHTML === old.dataset.was) continue;
    old.dataset.was = part.innerHTML;
    const atEnd = isAtEnd(old);
    if (old.querySelector("[data-key-of]") || part.querySelector("[data-key-of]")) renewItems(old, part);
    else renewWhole(old, part);
    if (old.dataset.live === "end" && atEnd) old.scrollTop = old.scrollHeight;
  }
  document.title = fresh.title;
}

function isAtEnd(part) {
  return part.scrollHeight - part.scrollTop - part.clientHeight < 80;
}

/** What is being answered stays in sight when the box below grows, or a keyboard comes. */
function stayAtEnd(part) {
  let wasAtEnd = isAtEnd(part);
  part.addEventListener("scroll", () => (wasAtEnd = isAtEnd(part)), { passive: true });
  new ResizeObserver(() => wasAtEnd && (part.scrollTop = part.scrollHeight)).observe(part);
}

/** Touch only the items that differ: a screen reader reads out whatever is put into a list. */
function renewItems(list, part) {
  const focused = focusWithin(list)?.closest("[data-key-of]")?.dataset.keyOf;
  const known = new Map([...list.children].map((each) => [each.dataset.keyOf, each]));
  const items = [...part.children].map((each) => {
    const old = known.get(each.dataset.keyOf);
    known.delete(each.dataset.keyOf);
    if (old?.innerHTML === each.innerHTML) return old;
    const item = document.importNode(each, true);
    if (old) old.replaceWith(item);
    else item.classList.add("fresh");
    return item;
  });
  for (const gone of known.values()) gone.remove();
  items.forEach((item, at) => {
    if (list.children[at] !== item) list.insertBefore(item, list.children[at] ?? null);
  });
  if (focused === undefined || focusWithin(list)) return;
  const item = items.find((each) => each.dataset.keyOf === focused);
  (item?.querySelector("a") ?? item)?.focus();
}

/** What was picked stays so; the keyboard stays at the same link or button, or at the part if that has gone. */
function renewWhole(old, part) {
  const focused = focusWithin(old);
  const picked = [...old.querySelectorAll("select")].map(({ name, value }) => [name, value]);
  old.replaceChildren(...document.importNode(part, true).childNodes);
  for (const [name, value] of picked) {
    const option = old.querySelector(`select[name="${CSS.escape(name)}"] option[value="${CSS.escape(value)}"]`);
    if (option) option.selected = true;
  }
  if (!focused) return;
  const nameOf = (each) => each.dataset.key ?? each.getAttribute("href") ?? each.textContent;
  const same = [...old.querySelectorAll("a, button, select")].find((each) => nameOf(each) === nameOf(focused));
  if (!same) old.tabIndex = -1;
  (same ?? old).focus();
}

function focusWithin(part) {
  return part.contains(document.activeElement) ? document.activeElement : null;
}

/** Follow the news; of a browser's windows one does, as each stream takes one of six connections. */
function listen() {
  if (seen === undefined) return;
  // A page without TLS has no locks.
  if (!navigator.locks || !window.BroadcastChannel) return follow((told) => HEARD[told]());
  const windows = new BroadcastChannel("dragoman.news");
  windows.addEventListener("message", ({ data }) => HEARD[data]?.());
  const tell = (told) => {
    HEARD[told]();
    windows.postMessage(told);
  };
  // Held until this window is gone; then it is another's turn.
  navigator.locks.request("dragoman.news", () => {
    follow(tell);
    return new Promise(() => {});
  });
}

const HEARD = { news: refresh, open: () => misses || withdraw(lost), lost: () => say(lost) };

function follow(tell) {
  const source = new EventSource(`/desk/news?after=${seen}`);
  let gap = 0;
  source.addEventListener("news", () => tell("news"));
  source.addEventListener("open", () => {
    clearTimeout(gap);
    tell("open");
    if (gap) tell("news");
    gap = 0;
  });
  source.addEventListener("error", () => {
    gap ||= setTimeout(() => tell("lost"), QUIET_GAP_MS);
    // A browser tries again after a broken connection, but not after a refusal.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => refresh().then(() => follow(tell)), 3_000);
  });
}

function say(text) {
  $("lost").textContent = text;
  $("lost").hidden = !text;
}

/** Take a notice back, unless another one stands there by now. */
function withdraw(text) {
  if ($("lost").textContent === text) say("");
}

// --- forms ---------------------------------------------------------------------------------------

/** Post a form without leaving the page; the answer is shown like any other news. */
async function postQuietly(form, button) {
  // Not `disabled`: a button that is loses the keyboard's place.
  if (form.ariaBusy === "true") return;
  form.ariaBusy = "true";
  const text = form.elements.text?.value;
  takeKey(form);
  const body = new FormData(form, button);
  try {
    const response = await fetch(button?.getAttribute("formaction") ?? form.getAttribute("action"), { method: "POST", body, headers: PART });
    if (response.status === 401) return location.reload();
    const answer = response.ok ? {} : await response.json().catch(() => ({}));
    // The page is older than the session. A fresh one may post, and the draft is still there.
    if (answer.why === "csrf") return location.reload();
    say(response.ok ? "" : answer.error || failed);
    if (!response.ok) return;
    if (form.matches("[action$='/claim']")) begin();
    clear(form, text);
    const shown = refresh();
    // What is pressed twice must wait until the first shows; words may follow words at once.
    if (!form.elements.key) await shown;
  } catch {
    say(failed);
  } finally {
    form.ariaBusy = null;
  }
}

/** Whoever takes over writes to the customer, unless something else stands there already. */
function begin() {
  if (!$("text").value) pick("reply");
  $("text").focus();
}

/** Other words than were sent under a key need another: the server may have kept the first. */
function takeKey(form) {
  const { key, mode, text } = form.elements;
  if (!key) return;
  const words = JSON.stringify([mode.value, text.value]);
  if (form.dataset.sent && form.dataset.sent !== words) key.value = newKey();
  form.dataset.sent = words;
  keep(form);
}

/** Make room for the next message. It is for whom the last one was: no note is followed by a reply unasked. */
function clear(form, sent) {
  const { key, taken, text } = form.elements;
  const mode = form.elements.mode?.value;
  if (key) {
    key.value = newKey();
    delete form.dataset.sent;
  }
  // A reset leaves hidden fields as they are.
  if (taken) taken.value = "false";
  // Somebody went on typing while it was sent.
  if (text && text.value !== sent) return keep(form);
  form.reset();
  if (mode) pick(mode);
  forget(form);
}

/** The same words sent again are not said twice; a page without TLS has no `randomUUID`. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What is being written survives a reload with whom it is for and under which key it was sent, and is gone once that is known to be kept. */
function draftOf(box) {
  return `dragoman.draft.${box.dataset.draft}`;
}
function keep(form) {
  for (const box of form.querySelectorAll("[data-draft]")) {
    const { key, mode } = form.elements;
    const draft = { text: box.value, mode: mode.value, key: key.value, sent: form.dataset.sent };
    sessionStorage.setItem(draftOf(box), JSON.stringify(draft));
  }
}
function restore(box) {
  const draft = JSON.parse(sessionStorage.getItem(draftOf(box)));
  // What the server has put there came with its own mode.
  if (!draft?.text || box.value) return;
  box.value = draft.text;
  // A tab's copy has its drafts too: two that write under one key would be told of each other's words.
  if (draft.sent) {
    box.form.elements.key.value = draft.key;
    box.form.dataset.sent = draft.sent;
  }
  pick(draft.mode);
}
function forget(form) {
  for (const box of form.querySelectorAll("[data-draft]")) sessionStorage.removeItem(draftOf(box));
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.confirm && !confirm(form.dataset.confirm)) return event.preventDefault();
  if (!("quiet" in form.dataset)) return undefined;
  event.preventDefault();
  return postQuietly(form, event.submitter);
});
document.addEventListener("input", ({ target, inputType }) => {
  if (!target.form) return;
  keep(target.form);
  // These may be the agent's own words again: nothing must be learnt from them as from a suggestion.
  if (inputType === "historyUndo" && target.form.elements.taken) target.form.elements.taken.value = "false";
});
// Not as soon as one is picked: an arrow key in the list picks the next one (WCAG 3.2.2).
$("insert")?.addEventListener("click", () => {
  const { text } = $("canned").selectedOptions[0].dataset;
  if (text === undefined) return $("canned").focus();
  $("canned").value = "";
  return insert($("text"), text);
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-take]");
  if (!button) return;
  const box = $("text");
  box.select();
  insert(box, button.dataset.take);
  box.form.elements.taken.value = "true";
  pick("reply");
  box.focus();
});

/** Put a text where the cursor is, or in place of what is selected; Ctrl+Z takes it back. */
function insert(box, text) {
  box.focus();
  // Outdated, but nothing else can be undone.
  if (document.execCommand("insertText", false, text)) return;
  box.setRangeText(text, box.selectionStart, box.selectionEnd, "end");
  box.dispatchEvent(new Event("input", { bubbles: true }));
}
/** A click, unlike `checked`, is told to whoever keeps drafts. */
function pick(mode) {
  const choice = document.querySelector(`.composer input[value="${mode}"]`);
  choice?.click();
  return choice;
}

for (const box of document.querySelectorAll("[data-draft]")) restore(box);
for (const box of document.querySelectorAll("[data-select]")) {
  box.addEventListener("focus", () => box.select());
  box.select();
}
// The server would cut the connection of what is far too large, and nobody could read why.
for (const box of document.querySelectorAll("[data-max]")) {
  box.addEventListener("change", () => {
    const isTooLarge = [...box.files].some((file) => file.size > Number(box.dataset.max));
    box.setCustomValidity(isTooLarge ? box.dataset.tooLarge : "");
    box.reportValidity();
  });
}
for (const box of document.querySelectorAll("[data-preview]")) {
  let timer = 0;
  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => preview(box), 300);
  });
}
async function preview(box) {
  const body = new FormData();
  body.append("text", box.value);
  body.append("csrf", csrf);
  const response = await fetch(box.dataset.preview, { method: "POST", body, headers: PART });
  // Made by the server without any tag but those of Markdown.
  if (response.ok) $("preview").innerHTML = await response.text();
}

// --- the curve -----------------------------------------------------------------------------------

for (const slider of document.querySelectorAll("[data-curve]")) {
  slider.addEventListener("input", () => {
    const percent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" });
    slider.nextElementSibling.textContent = percent.format(slider.value / 100);
    for (const figure of document.querySelectorAll("[data-points]")) {
      const dots = [...figure.querySelectorAll(".dot")];
      const kept = dots.find((dot) => Number(dot.dataset.precision) * 100 >= slider.value - 1e-6);
      for (const dot of dots) dot.classList.toggle("mark", dot === kept);
      figure.querySelector(".told").textContent = kept?.dataset.told ?? "";
    }
  });
}

// --- the frame -----------------------------------------------------------------------------------

$("theme")?.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("dragoman.theme", root.dataset.theme);
});
$("menu")?.addEventListener("click", () => {
  if (!showMenu(true)) showMenu(false);
});
document.addEventListener("click", ({ target }) => target.closest("#side, #menu") || showMenu(false));

/** Show the menu that a narrow window hides, or hide it again; true if that changed anything. */
function showMenu(open) {
  if (!$("menu") || open === $("side").classList.contains("open")) return false;
  $("side").classList.toggle("open", open);
  $("menu").setAttribute("aria-expanded", String(open));
  if (open) $("side").querySelector("a").focus();
  return true;
}
$("help")?.addEventListener("click", () => $("shortcuts").showModal());

// --- keys ----------------------------------------------------------------------------------------

let after = "";
const single = $("single-keys");

/** As it was last left in this browser, in whichever window. */
function recall() {
  try {
    if (single) single.checked = localStorage.getItem("dragoman.keys") !== "off";
  } catch {
    // Storage may be closed; what is picked holds for this page then.
  }
}
recall();
addEventListener("storage", recall);
single?.addEventListener("change", () => localStorage.setItem("dragoman.keys", single.checked ? "on" : "off"));

/** What the key has on a Latin keyboard, if the letters on it are of another script; else what it is. */
function latin({ key, code, shiftKey }) {
  // Letters only: with AltGr or on Dvorak, E gives a sign, which must not resolve anything.
  if (!/^(?!\p{Script=Latin})[\p{L}\p{M}؟]/u.test(key)) return key;
  if (code === "Slash") return shiftKey ? "?" : "/";
  return shiftKey ? key : code.replace(/^Key/, "").toLowerCase();
}

document.addEventListener("keydown", (event) => {
  // An input method's own (Chinese, Japanese, Korean); Safari is late to say that it composes.
  if (event.isComposing || event.keyCode === 229) return;
  const dialog = document.querySelector("dialog[open]");
  if (event.key === "Escape" && !dialog && showMenu(false)) $("menu").focus();
  const box = event.target.closest("input, textarea, select");
  if (box) {
    if (event.key === "Escape") box.blur();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) box.form?.requestSubmit();
    return;
  }
  // A voice that is taken for typing must not act (WCAG 2.1.4): whoever speaks switches these off.
  if (!single?.checked) return;
  if (event.ctrlKey || event.metaKey || event.altKey || dialog) return;
  const key = latin(event);
  const keys = after ? `${after} ${key}` : key;
  after = key === "g" && !after ? "g" : "";
  if (act(keys)) event.preventDefault();
});

function act(keys) {
  const link = document.querySelector(`[data-key="${CSS.escape(keys)}"]`);
  if (link) {
    // What the customer is told cannot be taken back: Enter does it, and no letter that was meant for the box.
    if ("asks" in link.dataset) link.focus();
    else link.click();
    return true;
  }
  if (keys === "?") $("shortcuts")?.showModal();
  else if (keys === "/") document.querySelector("[data-search]")?.focus();
  else if (keys === "j") step(1);
  else if (keys === "k") step(-1);
  else if ((keys === "r" || keys === "n") && pick(keys === "r" ? "reply" : "note")) $("text").focus();
  else return false;
  return true;
}

function step(by) {
  const items = [...document.querySelectorAll("[data-item]")];
  if (!items.length) return;
  const focused = items.indexOf(document.activeElement);
  const open = items.findIndex((each) => each.hasAttribute("aria-current"));
  const at = focused >= 0 ? focused : open;
  items[Math.min(items.length - 1, Math.max(0, at + by))].focus();
}

// --- a sign of life ------------------------------------------------------------------------------

let lived = 0;

/** Tell the desk that who has this conversation is at it, once a minute at most. */
function live() {
  const path = document.querySelector("[data-alive]")?.dataset.alive;
  if (!path || document.hidden || Date.now() - lived < 60_000) return;
  lived = Date.now();
  fetch(path, { method: "POST", headers: { ...PART, "X-CSRF": csrf } }).catch(() => {});
}
for (const name of ["pointerdown", "keydown", "scroll"]) addEventListener(name, live, { passive: true, capture: true });
live();

for (const part of document.querySelectorAll("[data-live]")) {
  // The first news, too, touches only what it changes.
  part.dataset.was = part.innerHTML;
  // Who asks for what was said earlier goes on from where they were.
  if (part.dataset.live === "end" && !part.querySelector(":target")) part.scrollTop = part.scrollHeight;
  if (part.dataset.live === "end") stayAtEnd(part);
}
listen();
setInterval(keepTime, 60_000);
document.addEventListener("visibilitychange", keepTime);
