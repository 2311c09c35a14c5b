// What is on the screen. Customers' words are only ever set as text; `html` comes from the server,
// which made it from Markdown without letting any tag through.

const $ = (id) => document.getElementById(id);
const WORKING_MS = 10_000;

export class View {
  constructor(texts) {
    this.texts = texts;
    this.pending = new Map();
    this.workingTimer = 0;
    this.unread = 0;
    this.#stayAtEnd($("main"));
  }

  /** Put every text of the page into another language. */
  speak({ language, direction, texts }) {
    this.texts = texts;
    document.documentElement.lang = language;
    document.documentElement.dir = direction;
    $("language").value = language;
    this.fill(document);
    document.title = document.querySelector("h1").textContent;
  }

  fill(root) {
    for (const each of root.querySelectorAll('[data-text]:not([data-text=""])')) {
      each.textContent = this.texts[each.dataset.text];
    }
    for (const each of root.querySelectorAll("[data-label]")) {
      each.setAttribute("aria-label", this.texts[each.dataset.label]);
      if (each.localName === "button") each.title = this.texts[each.dataset.label];
    }
    for (const each of root.querySelectorAll("[data-placeholder]")) {
      each.placeholder = this.texts[each.dataset.placeholder];
    }
  }

  /** Show a message at once, before the server has confirmed it. */
  addPending(item) {
    const line = this.#line("customer");
    line.querySelector(".said").textContent = item.text;
    line.classList.toggle("pending", !item.sent);
    this.pending.set(item.key, line);
    $("lines").append(line);
    this.#begun();
    this.toEnd();
  }

  markSent(item) {
    this.pending.get(item.key)?.classList.remove("pending");
  }

  takeBack(item) {
    this.pending.get(item.key)?.remove();
    this.pending.delete(item.key);
  }

  /** Show a line of the transcript, before whatever is still on its way; `item` shows it by now. */
  addLine(line, { live, item }) {
    const follows = this.#isAtEnd();
    const shown = this.#settled(item) ?? this.#line(line.author);
    shown.dataset.line = line.id;
    if (line.sender) this.#name(shown, line.sender);
    this.#say(shown, line);
    for (const citation of line.citations) shown.querySelector(".sources").append(this.#source(citation));
    this.#offer(shown, line);
    this.#ask(shown, line);
    const next = this.pending.values().next().value ?? null;
    // What is put into the list is read aloud, once more if it stood there before.
    if (!shown.isConnected || shown.nextSibling !== next) $("lines").insertBefore(shown, next);
    this.#begun();
    if (line.author !== "customer") this.hidePassing();
    if (live && line.author !== "customer" && document.hidden) this.#count(this.unread + 1);
    if (follows || !live) this.toEnd();
  }

  /** An agent has changed a line, or taken it back. */
  changeLine(line) {
    const shown = $("lines").querySelector(`[data-line="${line.id}"]`);
    if (shown && line.text) this.#say(shown, line);
    else shown?.remove();
  }

  /** Dots, or the beginning of the reply, until the reply is there or nothing more is heard. */
  showPassing(html) {
    const follows = this.#isAtEnd();
    const passing = $("passing");
    if (passing.hidden) $("status").textContent = this.texts.WRITING;
    passing.hidden = false;
    if (html !== undefined) passing.querySelector(".said").innerHTML = html;
    clearTimeout(this.workingTimer);
    this.workingTimer = setTimeout(() => this.hidePassing(), WORKING_MS);
    if (follows) this.toEnd();
  }

  hidePassing() {
    clearTimeout(this.workingTimer);
    $("passing").hidden = true;
    $("passing").querySelector(".said").replaceChildren();
    $("status").textContent = "";
  }

  /** From here on new lines are read aloud; the history is not. */
  beginReadingAloud() {
    $("lines").setAttribute("aria-live", "polite");
  }

  /** Show which thumb it was. */
  press(thumb) {
    for (const each of thumb.parentElement.children) {
      each.setAttribute("aria-pressed", String(each === thumb));
    }
  }

  /** Say one of the texts above the box, or with none nothing any more. */
  notice(name = "") {
    $("notice").dataset.text = name;
    $("notice").textContent = this.texts[name] ?? "";
    $("notice").hidden = !name;
  }

  /** Take a notice back, unless another one stands there by now. */
  withdraw(name) {
    if ($("notice").dataset.text === name) this.notice();
  }

  say(text) {
    $("status").textContent = text;
  }

  seen() {
    this.#count(0);
  }

  toEnd() {
    const main = $("main");
    main.scrollTop = main.scrollHeight;
  }

  empty() {
    $("lines").replaceChildren();
    $("lines").setAttribute("aria-live", "off");
    this.pending.clear();
    this.hidePassing();
    this.notice();
    $("welcome").hidden = false;
  }

  /** What was on its way, as a line like any other; undefined if nothing was. */
  #settled(item) {
    const shown = item && this.pending.get(item.key);
    shown?.classList.remove("pending");
    this.pending.delete(item?.key);
    return shown;
  }

  #line(author) {
    const shown = $("line").content.cloneNode(true).firstElementChild;
    const who = { customer: "YOU", bot: "ASSISTANT", agent: "TEAM" }[author];
    shown.classList.add(author);
    shown.querySelector(".who").dataset.text = who;
    shown.querySelector(".who").classList.toggle("unseen", author !== "agent");
    this.fill(shown);
    return shown;
  }

  #say(shown, line) {
    const said = shown.querySelector(".said");
    said.lang = line.language;
    if (line.author !== "customer") said.innerHTML = line.html;
    // What stays as it was is not read aloud again.
    else if (said.textContent !== line.text) said.textContent = line.text;
  }

  /** A person writes under their name, whatever language the page is in. */
  #name(shown, name) {
    const who = shown.querySelector(".who");
    delete who.dataset.text;
    who.textContent = name;
    who.dir = "auto";
  }

  #source({ title, html, language, href }) {
    const source = $("source").content.cloneNode(true).firstElementChild;
    this.fill(source);
    source.querySelector(".title").textContent = title;
    source.querySelector("blockquote").innerHTML = html;
    source.querySelector("blockquote").lang = language;
    const link = source.querySelector("a");
    if (href) {
      link.href = href;
      link.textContent = href.replace(/^https?:\/\//, "");
    } else {
      link.remove();
    }
    return source;
  }

  /** Choices are messages to send, languages a setting; both are buttons. */
  #offer(shown, line) {
    const button = (text, data) => {
      const choice = document.createElement("button");
      Object.assign(choice, { type: "button", className: "choice", textContent: text, dir: "auto" });
      Object.assign(choice.dataset, data);
      const item = document.createElement("li");
      item.append(choice);
      shown.querySelector(".choices").append(item);
      return choice;
    };
    for (const text of line.choices) button(text, {});
    for (const rating of line.ratings) button(String(rating), { rating, turn: line.turn });
    for (const { tag, name } of line.languages) button(name, { language: tag }).lang = tag;
  }

  #ask(shown, line) {
    const asked = line.outcome === "answer" && line.turn !== null;
    shown.querySelector(".verdict").hidden = !asked;
    if (!asked) return;
    shown.querySelector(".verdict").dataset.turn = line.turn;
    if (line.helpful !== null) this.press(shown.querySelector(`.verdict [value="${line.helpful}"]`));
  }

  #begun() {
    $("welcome").hidden = true;
  }

  /** The keyboard of a phone must not hide what is being answered. */
  #stayAtEnd(main) {
    let wasAtEnd = true;
    const look = () => (wasAtEnd = this.#isAtEnd());
    for (const each of ["scroll", "toggle"]) {
      main.addEventListener(each, look, { capture: true, passive: true });
    }
    const follow = () => wasAtEnd && $("welcome").hidden && this.toEnd();
    new ResizeObserver(follow).observe(main);
  }

  #isAtEnd() {
    const main = $("main");
    return main.scrollHeight - main.scrollTop - main.clientHeight < 120;
  }

  #count(unread) {
    this.unread = unread;
    const name = document.querySelector("h1").textContent;
    document.title = unread ? `(${unread}) ${name}` : name;
  }
}
