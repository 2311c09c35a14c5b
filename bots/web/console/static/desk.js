// The console works with plain forms; this adds what a page cannot do: news, keys, and ease.

const $ = (id) => document.getElementById(id);
const { csrf, lost, failed, seen } = document.body.dataset;
const PART = { "X-Part": "1" };
// A short gap, as when the server restarts, is nobody's business.
const QUIET_GAP_MS = 2_500;

// --- news ----------------------------------------------------------------------------------------

let reading = null;
let again = false;

/** Fetch this page anew and take over each part that has changed; what is being typed stays. */
async function refresh() {
  if (reading) {
    again = true;
    return reading;
  }
  reading = (async () => {
    do {
      again = false;
      const response = await fetch(location.href, { headers: PART });
      if (response.status === 401) return location.reload();
      if (response.ok) takeOver(await response.text());
    } while (again);
  })();
  try {
    await reading;
  } finally {
    reading = null;
  }
}

function takeOver(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  for (const old of document.querySelectorAll("[data-live]")) {
    const part = fresh.getElementById(old.id);
    if (!part || part.innerHTML === old.dataset.was) continue;
    old.dataset.was = part.innerHTML;
    const atEnd = old.scrollHeight - old.scrollTop - old.clientHeight < 80;
    const known = new Set([...old.querySelectorAll("[data-key-of]")].map((each) => each.dataset.keyOf));
    const focused = document.activeElement?.closest("[data-key-of]")?.dataset.keyOf;
    old.replaceChildren(...document.importNode(part, true).childNodes);
    for (const each of old.querySelectorAll("[data-key-of]")) {
      if (known.size && !known.has(each.dataset.keyOf)) each.classList.add("fresh");
      if (each.dataset.keyOf === focused) (each.querySelector("a") ?? each).focus();
    }
    if (old.dataset.live === "end" && atEnd) old.scrollTop = old.scrollHeight;
  }
  document.title = fresh.title;
}

function listen() {
  if (seen === undefined) return;
  const source = new EventSource(`/desk/news?after=${seen}`);
  let gap = 0;
  source.addEventListener("news", refresh);
  source.addEventListener("open", () => {
    clearTimeout(gap);
    gap = 0;
    say("");
  });
  source.addEventListener("error", () => {
    gap ||= setTimeout(() => say(lost), QUIET_GAP_MS);
    // A browser tries again after a broken connection, but not after a refusal.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => refresh().then(listen, listen), 3_000);
  });
}

function say(text) {
  $("lost").textContent = text;
  $("lost").hidden = !text;
}

// --- forms ---------------------------------------------------------------------------------------

/** Post a form without leaving the page; the answer is shown like any other news. */
async function postQuietly(form, button) {
  const body = new FormData(form, button);
  const buttons = form.querySelectorAll("button");
  for (const each of buttons) each.disabled = true;
  try {
    const response = await fetch(button?.getAttribute("formaction") ?? form.getAttribute("action"), { method: "POST", body, headers: PART });
    if (response.status === 401) return location.reload();
    const answer = response.ok ? {} : await response.json().catch(() => ({}));
    say(response.ok ? "" : answer.error || failed);
    if (!response.ok) return;
    form.reset();
    if (form.elements.key) form.elements.key.value = newKey();
    forget(form);
    await refresh();
  } catch {
    say(failed);
  } finally {
    for (const each of buttons) each.disabled = false;
  }
}

/** The same words sent again are not said twice; a page without TLS has no `randomUUID`. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What is being written survives a reload, and is gone once it was sent. */
function draftName(box) {
  return box.dataset.draft && `dragoman.draft.${box.dataset.draft}`;
}
function forget(form) {
  for (const box of form.querySelectorAll("[data-draft]")) sessionStorage.removeItem(draftName(box));
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.confirm && !confirm(form.dataset.confirm)) return event.preventDefault();
  if (!("quiet" in form.dataset)) return undefined;
  event.preventDefault();
  return postQuietly(form, event.submitter);
});
document.addEventListener("change", (event) => {
  if ("submit" in event.target.dataset) event.target.form.requestSubmit();
  if ("canned" in event.target.dataset && event.target.value) {
    insert($("text"), event.target.selectedOptions[0].dataset.text);
    event.target.value = "";
  }
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-take]");
  if (!button) return;
  const box = $("text");
  box.value = button.dataset.take;
  box.form.elements.taken.value = "true";
  pick("reply");
  box.focus();
});

function insert(box, text) {
  box.setRangeText(text, box.selectionStart, box.selectionEnd, "end");
  box.dispatchEvent(new Event("input", { bubbles: true }));
  box.focus();
}
function pick(mode) {
  const choice = document.querySelector(`.composer input[value="${mode}"]`);
  if (choice) choice.checked = true;
  return choice;
}

for (const box of document.querySelectorAll("[data-draft]")) {
  box.value ||= sessionStorage.getItem(draftName(box)) ?? "";
  box.addEventListener("input", () => sessionStorage.setItem(draftName(box), box.value));
}
for (const box of document.querySelectorAll("[data-select]")) {
  box.addEventListener("focus", () => box.select());
  box.select();
}
for (const box of document.querySelectorAll("[data-preview]")) {
  let timer = 0;
  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => preview(box), 300);
  });
}
async function preview(box) {
  const body = new URLSearchParams({ text: box.value, csrf });
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
  const open = $("side").classList.toggle("open");
  $("menu").setAttribute("aria-expanded", String(open));
});
$("main")?.addEventListener("click", () => $("side")?.classList.remove("open"));
$("help")?.addEventListener("click", () => $("shortcuts").showModal());

// --- keys ----------------------------------------------------------------------------------------

let after = "";

document.addEventListener("keydown", (event) => {
  const box = event.target.closest("input, textarea, select");
  if (box) {
    if (event.key === "Escape") box.blur();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) box.form?.requestSubmit();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const keys = after ? `${after} ${event.key}` : event.key;
  after = event.key === "g" && !after ? "g" : "";
  if (act(keys)) event.preventDefault();
});

function act(keys) {
  const link = document.querySelector(`[data-key="${CSS.escape(keys)}"]`);
  if (link) {
    link.click();
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

for (const part of document.querySelectorAll('[data-live="end"]')) part.scrollTop = part.scrollHeight;
listen();
