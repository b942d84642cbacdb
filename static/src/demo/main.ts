// The demo page: joins a group, shows the shared board and the star of members, and takes a
// person's input.
import { PageGroup } from "../index.ts";
import { addressOf, pageProblem } from "./address.ts";
import { BoardView } from "./board-view.ts";
import { click, need, onSubmit, put } from "./dom.ts";
import { Editor } from "./editor.ts";
import { DirectConnection } from "./direct-connection.ts";
import { listenForHelp } from "./help.ts";
import { keepBoard, keepName, keptBoard, keptName } from "./storage.ts";
import { listenToKeys } from "./keys.ts";
import { TELL_EVERY_MS } from "./links.ts";
import { nameIn } from "./model/read.ts";
import { Mover } from "./mover.ts";
import { showFacts } from "./panel.ts";
import { MAX_NAME, someName } from "./people.ts";
import { Pointer } from "./pointer.ts";
import { say, sayChange, sayNews } from "./message-line.ts";
import { Session } from "./session.ts";
import { StarView } from "./star-view.ts";
import { showAbsent, showEnd, statusChanged } from "./status.ts";
import { Tools } from "./tools.ts";
import {
  changeInWords,
  endInWords,
  errorInWords,
  hostInWords,
  missedInWords,
  startFailureInWords,
} from "./words.ts";

const KEEP_AFTER_MS = 300;

const address = addressOf(new URL(location.href));
const problem = pageProblem(address.page);
if (problem) showEnd(problem);
else {
  try {
    start();
  } catch (error) {
    // With a wrong `?server=` in the address there is no group.
    showEnd(startFailureInWords(error));
    console.error(error);
  }
}

function start(): void {
  const name = keptName() ?? someName();
  keepName(name, false);
  const group = new PageGroup({ ...address, profile: { name } });

  const keep = later(() => keepBoard(address.page, session.shared.delivered), KEEP_AFTER_MS);
  const session: Session = new Session(group, {
    changed: () => render(),
    delivered(from, seq, outcome, before) {
      keep();
      star.pulse(from);
      const nameOrYou = (id: string) => session.people.nameOrYou(id);
      const words = changeInWords(nameOrYou(from), outcome, before);
      if (words) sayChange(words, seq);
      const missed = from === group.id && missedInWords(outcome, nameOrYou);
      if (missed) say(missed);
      const { change } = outcome;
      if (from === group.id || !change) return;
      const touched =
        change.kind === "moved" || change.kind === "renamed"
          ? [change.id]
          : change.steps.map(({ id }) => id);
      view.render(session.shared, editor, pointer.held);
      for (const id of touched) view.steps.mark(id, from, session.people.nameOf(from));
    },
    hostChanged: ({ host, tookMs }) => sayNews(hostInWords(session.people.nameOrYou(host), tookMs)),
    restored: keep,
    failed: complain,
    resign: () => group.resign(),
  });

  const mover = new Mover(session.shared);
  const editor = new Editor(session.shared, mover, group.id, {
    changed: () => render(),
    say,
    focus: (selection) => view.focus(selection),
    reveal: (place) => {
      draw();
      view.reveal(place);
    },
    view: () => view.visible(),
  });
  const view = new BoardView({ renamed: (text) => editor.rename(text) });
  const pointer = new Pointer(editor, view, (id) => session.shared.board.steps.get(id));
  const tools = new Tools(editor, view);
  const star = new StarView();
  const nameInput = need<HTMLInputElement>("my-name");
  listenToKeys(editor, pointer);
  listenForHelp();

  const render = once(draw);
  function draw(): void {
    const { board } = session.shared;
    const { people, lastChange, server } = session;
    const { host } = group;
    const link = (id: string) => session.linkOf(id);
    editor.tidy();
    view.render(session.shared, editor, pointer.held);
    if (editor.wiring === undefined) view.wires.pull(undefined);
    tools.render();
    star.render({ ids: group.members, host, me: group.id, name: (id) => people.nameOf(id), link });
    showFacts({
      me: group.id,
      host,
      epoch: group.epoch,
      members: group.members,
      people,
      lastChange,
      server,
      link,
    });
    document.body.dataset["empty"] =
      board.steps.size > 0 ? "false" : host === undefined ? "unknown" : "true";
    need("alone-words").classList.toggle("hushed", group.members.length > 1);
    if (document.activeElement !== nameInput) nameInput.value = people.nameOf(group.id);
  }

  addEventListener("pagehide", () => keep.now());
  setInterval(() => session.tellLinks(), TELL_EVERY_MS);

  group.onSnapshot = () => session.snapshot();
  group.onRestore = (state) => session.restore(state);
  group.on("open", (event) => session.opened(event, keptBoard(address.page)));
  group.on("message", (data, { from, seq }) => session.message(data, from, seq));
  group.on("host", (event) => session.hostChanged(event));
  group.on("member", (event) => session.member(event));
  group.on("profile", (event) => session.profile(event));
  group.on("link", (event) => session.link(event));
  group.on("status", (event) => {
    statusChanged(event);
    session.status(event);
  });
  group.on("recovered", ({ complete }) => {
    if (!complete)
      say("You were away for long. The board is what the others made of it meanwhile.");
  });
  group.on("error", (error) => {
    if (error.code === "Unreachable" && group.host === undefined)
      showAbsent(new URL(location.href).searchParams.get("server") ?? undefined);
    complain(error);
  });
  group.on("close", (end) => showEnd(endInWords(end)));

  new DirectConnection(group.peer, group.id, () => group.members, session.people, say);
  click("drop", () => session.dropHost());
  click("retry", () => location.reload());
  nameInput.addEventListener("change", rename);
  onSubmit("name-form", "my-name", (_, input) => input.blur());
  put("page", address.page);
  put("address", location.href);
  need<HTMLAnchorElement>("again").href = location.href;
  render();

  function complain(error: unknown): void {
    const words = errorInWords(error);
    if (words) say(words);
  }

  function rename(): void {
    const chosen = nameIn(nameInput.value, MAX_NAME);
    if (chosen) {
      keepName(chosen, true);
      session.rename(chosen);
    }
    nameInput.value = session.people.nameOf(group.id);
  }
}

/** Limits calls to one a frame. A hidden page is drawn four times a second at most. */
function once(draw: () => void): () => void {
  let waiting = false;
  const run = () => {
    if (!waiting) return;
    waiting = false;
    draw();
  };
  return () => {
    if (waiting) return;
    waiting = true;
    if (document.hidden) setTimeout(run, 250);
    else requestAnimationFrame(run);
  };
}

/**
 * Delays calls by `ms` and joins those of that time into one. `now` runs a delayed call at once.
 */
function later(then: () => void, ms: number): { (): void; now(): void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const now = () => {
    if (timer === undefined) return;
    clearTimeout(timer);
    timer = undefined;
    then();
  };
  return Object.assign(() => void (timer ??= setTimeout(now, ms)), { now });
}
