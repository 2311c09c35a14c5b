// The chat page: what the customer does goes out as a post, what is said comes in as an event.

import { Outgoing, newKey, post } from "/static/outgoing.js";
import { View } from "/static/view.js";

const $ = (id) => document.getElementById(id);
const page = JSON.parse($("page").textContent);
const view = new View(page.texts);
// A short gap, as when the server restarts, is nobody's business.
const QUIET_GAP_MS = 2_500;

let conversation = page.conversation;
let outgoing = begin();
let lastId = 0;
let live = false;
let source = null;
let gapTimer = 0;
let again = 0;
// Of a browser's hidden windows one listens, as each stream takes one of six connections. A page
// without TLS has no locks.
let listensHidden = !navigator.locks;
let spoken = document.documentElement.lang;

function begin() {
  const begun = new Outgoing(conversation, { sent, refused, delayed });
  for (const item of begun.items) view.addPending(item);
  return begun;
}

// --- out -----------------------------------------------------------------------------------------

function write(text) {
  const wanted = text.trim();
  if (!wanted) return false;
  if ([...wanted].length > page.maxChars) {
    view.notice("TOO_LONG");
    return false;
  }
  view.notice();
  view.addPending(outgoing.add(wanted));
  outgoing.flush();
  return true;
}

function sent(item, answer) {
  view.markSent(item);
  // That another one was refused stands there until the next is written.
  for (const name of ["OFFLINE", "TOO_FAST"]) view.withdraw(name);
  follow(answer);
}

/** Another window may have begun a new conversation: what is said there would never show here. */
function follow(answer) {
  if (answer.conversation === conversation) return;
  outgoing.handOver();
  location.reload();
}

function refused(item, response) {
  if (response.status === 401) return reopen();
  view.takeBack(item);
  view.notice(response.status === 413 ? "TOO_LONG" : "NOT_SENT");
  giveBack(item.text);
}

function delayed(response) {
  view.notice(response?.status === 429 ? "TOO_FAST" : "OFFLINE");
}

/** Do something that is no message; the answer, 409 if it needs asking, or null after saying that it failed. */
async function act(path, body) {
  let response = null;
  try {
    response = await post(path, body);
  } catch {
    view.notice("OFFLINE");
    return null;
  }
  if (response.ok || response.status === 409) {
    view.notice();
    return response;
  }
  if (response.status === 401) reopen();
  // The turn is of another conversation.
  else if (response.status === 404) follow({});
  else view.notice(response.status === 429 ? "TOO_FAST" : "NOT_SENT");
  return null;
}

/** Do something in the conversation that stands here. */
async function actHere(path, body) {
  const response = await act(path, body);
  if (response) follow(await response.json());
  return response;
}

/** The cookie is gone or too old. The next page brings a new one, but is asked for it only once. */
function reopen() {
  if (outgoing.isSuccessor || !outgoing.handOver()) view.notice("NOT_SENT");
  else location.reload();
}

async function chooseLanguage(language) {
  const response = await actHere("/chat/language", { key: newKey(), language });
  if (response) await speak(language);
  else $("language").value = document.documentElement.lang;
}

// An arrow key in the closed list picks the next one: who uses keys says when it is the right one, by
// Enter or by going on (WCAG 3.2.2).
let picksByKeys = false;
let hasPicked = false;

function choosePicked() {
  if (hasPicked) chooseLanguage($("language").value);
  hasPicked = false;
}

/** Show the page in the language of the conversation, if we have it. */
async function speak(language) {
  const query = new URLSearchParams([
    ["language", language],
    ["language", document.documentElement.lang],
  ]);
  try {
    const response = await fetch(`/chat/texts?${query}`);
    if (response.ok) view.speak(await response.json());
  } catch {
    // The page stays as it is; the conversation goes on.
  }
}

async function rate(button) {
  const verdict = button.closest(".verdict");
  const response = await act("/chat/feedback", {
    turn: Number(verdict.dataset.turn),
    helpful: button.value === "true",
  });
  if (!response) return;
  view.press(button);
  view.say(view.texts.FEEDBACK_THANKS);
}

async function startAnew(sure) {
  const response = await act("/chat/new", { sure });
  if (!response) return;
  // A person has it, or will: their answer would be seen by nobody.
  if (response.status === 409) {
    $("leave").returnValue = "";
    $("leave").showModal();
    return;
  }
  outgoing.clear();
  view.empty();
  ({ conversation } = await response.json());
  outgoing = begin();
  lastId = 0;
  listen();
  $("text").focus();
}

// --- in ------------------------------------------------------------------------------------------

function listen() {
  source?.close();
  clearTimeout(again);
  live = false;
  if (document.hidden && !listensHidden) return;
  source = new EventSource(`/chat/events?after=${lastId}`);
  source.addEventListener("conversation", (event) => follow(JSON.parse(event.data)));
  source.addEventListener("line", (event) => arrived(JSON.parse(event.data)));
  source.addEventListener("changed", (event) => view.changeLine(JSON.parse(event.data)));
  source.addEventListener("working", () => view.showPassing());
  source.addEventListener("partial", (event) => view.showPassing(JSON.parse(event.data).html));
  source.addEventListener("caught_up", () => {
    live = true;
    view.beginReadingAloud();
    clearTimeout(gapTimer);
    gapTimer = 0;
    view.withdraw("OFFLINE");
    outgoing.isSuccessor = false;
    outgoing.flush();
  });
  source.addEventListener("error", () => {
    live = false;
    gapTimer ||= setTimeout(() => view.notice("OFFLINE"), QUIET_GAP_MS);
    // A browser tries again by itself after a broken connection, but not after a refusal.
    if (source.readyState === EventSource.CLOSED) again = setTimeout(listen, 3_000);
  });
}

function arrived(line) {
  if (line.id <= lastId) return;
  lastId = line.id;
  view.addLine(line, { live, item: outgoing.confirm(line.key) });
  if (live && line.author === "bot" && line.language !== spoken) {
    spoken = line.language;
    speak(line.language);
  }
}

// --- the form ------------------------------------------------------------------------------------

// Of this tab, whatever its conversation is by then.
const DRAFT = "dragoman.draft";
// What was refused and put before what is being written.
let givenBack = "";

function keepDraft(text) {
  try {
    if (text) sessionStorage.setItem(DRAFT, text);
    else sessionStorage.removeItem(DRAFT);
  } catch {
    // Storage is full or forbidden: the draft lives as long as the page does.
  }
}

function keptDraft() {
  try {
    return sessionStorage.getItem(DRAFT) ?? "";
  } catch {
    return "";
  }
}

/** Put what was not sent before what is being written, behind what came back before it. */
function giveBack(text) {
  const box = $("text");
  if (!box.value.startsWith(givenBack)) givenBack = "";
  const written = box.value.slice(givenBack.length).trimStart();
  const fromEnd = box.value.length - box.selectionEnd;
  givenBack = givenBack ? `${givenBack}\n${text}` : text;
  setText(written ? `${givenBack}\n${written}` : givenBack);
  box.setSelectionRange(box.value.length - fromEnd, box.value.length - fromEnd);
}

function setText(text) {
  const box = $("text");
  box.value = text;
  // Without text the direction is the page's, or an Arabic hint would stand on the left.
  box.dir = text ? "auto" : "";
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight}px`;
  keepDraft(text);
}

function submit(event) {
  event?.preventDefault();
  if (write($("text").value)) setText("");
  $("text").focus();
}

$("form").addEventListener("submit", submit);
$("text").addEventListener("input", () => setText($("text").value));
$("text").addEventListener("keydown", (event) => {
  // While an input method composes (Chinese, Japanese, Korean), Enter picks a word. Safari says that
  // it composes no more before it tells of that Enter: only this code is left (WebKit bug 165004).
  const composes = event.isComposing || event.keyCode === 229;
  if (event.key === "Enter" && !event.shiftKey && !composes) submit(event);
});
$("language").addEventListener("pointerdown", () => (picksByKeys = false));
$("language").addEventListener("keydown", (event) => {
  // What is picked from an open list is meant.
  picksByKeys = !event.altKey && ![" ", "Enter"].includes(event.key);
  if (event.key !== "Enter" || !hasPicked) return;
  event.preventDefault();
  choosePicked();
});
$("language").addEventListener("change", () => {
  hasPicked = true;
  if (!picksByKeys) choosePicked();
});
$("language").addEventListener("blur", choosePicked);
$("new").addEventListener("click", () => startAnew(false));
$("leave").addEventListener("close", () => $("leave").returnValue === "leave" && startAnew(true));
$("person").addEventListener("click", async () => {
  if (await actHere("/chat/person", { key: newKey() })) view.showPassing();
});
$("main").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.closest(".verdict")) rate(button);
  else if (button.dataset.language) chooseLanguage(button.dataset.language);
  else if (button.dataset.rating) {
    const { rating, turn } = button.dataset;
    actHere("/chat/rating", { key: newKey(), rating: Number(rating), turn: Number(turn) });
  }
  else if (button.classList.contains("choice")) write(button.textContent);
});
addEventListener("online", () => {
  outgoing.flush();
  if (source?.readyState === EventSource.CLOSED) listen();
});
addEventListener("offline", () => view.notice("OFFLINE"));
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) view.seen();
  if (!listensHidden) listen();
});
// Held until this window is gone; then it is another's turn.
navigator.locks?.request("dragoman.chat", () => {
  listensHidden = true;
  if (document.hidden) listen();
  return new Promise(() => {});
});

if (keptDraft()) setText(keptDraft());
listen();
if (matchMedia("(pointer: fine)").matches) $("text").focus();
