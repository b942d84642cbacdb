// A channel as the application sees it. The group itself is the channel "".

import { Emitter, type ListenerOptions } from "../events.ts";
import type { DirectOf, GroupTypes, MessageOf, Untyped } from "../group-types.ts";
import type { PageGroupEvents } from "../page-events.ts";
import type { RestoreCallback } from "../restore-info.ts";
import type { DirectOptions, RequestHandler, RequestOptions } from "./requests.ts";

/**
 * A conversation of the group beside others: its own messages, its own part of the state. All
 * channels of a group share one order. `C` gives the types of its data.
 */
export interface Channel<C extends GroupTypes = Untyped> {
  /** Name of the channel; "" for the group itself. */
  readonly name: string;
  /**
   * Adds a listener of an event. `message`, `direct` and `recovered` are those of this channel, all
   * others those of the group. A listener that throws is reported in the console and does not stop the
   * others.
   *
   * `signal` removes the listener when it aborts, `once` before its first call.
   */
  on<Name extends keyof PageGroupEvents<C>>(
    name: Name,
    listener: (...args: PageGroupEvents<C>[Name]) => void,
    options?: ListenerOptions,
  ): this;
  /** Removes a listener that `on` added. */
  off<Name extends keyof PageGroupEvents<C>>(
    name: Name,
    listener: (...args: PageGroupEvents<C>[Name]) => void,
  ): this;
  /**
   * Sends a message to all members, 1 MiB at most. The data is copied at once.
   *
   * @returns A promise that resolves when the message was delivered to this page too, in its place,
   * or rejects with a PeerstarError, or with a TypeError for data that cannot be sent.
   */
  send(data: MessageOf<C>): Promise<void>;
  /**
   * Sends a message to one member, 1 MiB at most: its page has the event `direct`, after everything
   * that this page has been handed. The message waits while the member is away. No other member
   * gets it.
   *
   * @returns A promise that resolves when the member's page was handed the message, or rejects with
   * a PeerstarError: `Gone` if the member left and cannot have it, `Uncertain` if it left and may
   * have it. It rejects with the reason of `signal` if that aborts; the message may be handed over
   * all the same, once it is on its way.
   */
  sendTo(id: string, data: DirectOf<C>, options?: DirectOptions): Promise<void>;
  /**
   * Asks one member's page, and returns what its handler returns. The handler runs at most once,
   * perhaps though this promise rejects.
   *
   * @returns A promise that rejects with a PeerstarError: as `sendTo`, and with `NoHandler`,
   * `Timeout` (after 10 s, or `timeoutMs`), or `Rejected` if the handler fails.
   */
  request<Answer = unknown>(id: string, data: unknown, options?: RequestOptions): Promise<Answer>;
  /**
   * Sets the function that answers the requests of others on this channel, in the place of an
   * earlier one. It returns the answer or a promise of it. What it throws rejects the request, with
   * the message of the error.
   *
   * @returns A function that removes this one.
   */
  handle(handler: RequestHandler): () => void;
  /**
   * Callback that returns this page's state: everything delivered so far, as anything that `send`
   * takes, or a promise of it. It is called between two deliveries, for members that join late, and
   * may take 30 s.
   */
  get onSnapshot(): (() => unknown) | undefined;
  set onSnapshot(callback: (() => unknown) | null | undefined);
  /**
   * Callback that replaces this page's state with that of another member's `onSnapshot`. It is also
   * told which messages the page loses by that. Only later messages follow, after its promise if it
   * returns one. It may take 30 s.
   */
  get onRestore(): RestoreCallback<MessageOf<C>> | undefined;
  set onRestore(callback: RestoreCallback<MessageOf<C>> | null | undefined);
}

/** Listeners and callbacks of the application at one channel. */
export interface ChannelApp {
  emit<Name extends keyof PageGroupEvents>(name: Name, ...args: PageGroupEvents[Name]): void;
  onSnapshot: (() => unknown) | undefined;
  onRestore: RestoreCallback | undefined;
}

/** The shell, as a channel uses it. */
export interface ChannelShell {
  send(channel: string, data: unknown): Promise<void>;
  sendTo(channel: string, id: string, data: unknown, options?: DirectOptions): Promise<void>;
  request(channel: string, id: string, data: unknown, options?: RequestOptions): Promise<unknown>;
  handle(channel: string, handler: RequestHandler): () => void;
  /** The application has set or removed a callback. */
  callbacksChanged(channel: string): void;
}

/** Events that each channel has of its own. */
const OWN: ReadonlySet<keyof PageGroupEvents> = new Set(["message", "direct", "recovered"]);

interface ChannelParts {
  readonly app: ChannelApp;
  /** Emitter of this channel's own events, and that of the group. */
  readonly own: Emitter<PageGroupEvents>;
  readonly group: Emitter<PageGroupEvents>;
  readonly shell: ChannelShell;
}

export class GroupChannel<C extends GroupTypes = Untyped> implements Channel<C> {
  readonly name: string;
  readonly #parts: ChannelParts;

  /** @internal */
  constructor(name: string, parts: ChannelParts) {
    this.name = name;
    this.#parts = parts;
  }

  on<Name extends keyof PageGroupEvents<C>>(
    name: Name,
    listener: (...args: PageGroupEvents<C>[Name]) => void,
    options?: ListenerOptions,
  ): this {
    this.#emitterOf(name).on(name, listener, options);
    return this;
  }

  off<Name extends keyof PageGroupEvents<C>>(
    name: Name,
    listener: (...args: PageGroupEvents<C>[Name]) => void,
  ): this {
    this.#emitterOf(name).off(name, listener);
    return this;
  }

  send(data: MessageOf<C>): Promise<void> {
    return this.#parts.shell.send(this.name, data);
  }

  sendTo(id: string, data: DirectOf<C>, options?: DirectOptions): Promise<void> {
    return this.#parts.shell.sendTo(this.name, id, data, options);
  }

  request<Answer = unknown>(id: string, data: unknown, options?: RequestOptions): Promise<Answer> {
    return this.#parts.shell.request(this.name, id, data, options) as Promise<Answer>;
  }

  handle(handler: RequestHandler): () => void {
    return this.#parts.shell.handle(this.name, handler);
  }

  get onSnapshot(): (() => unknown) | undefined {
    return this.#parts.app.onSnapshot;
  }

  set onSnapshot(callback: (() => unknown) | null | undefined) {
    this.#parts.app.onSnapshot = callback ?? undefined;
    this.#parts.shell.callbacksChanged(this.name);
  }

  get onRestore(): RestoreCallback<MessageOf<C>> | undefined {
    return this.#parts.app.onRestore as RestoreCallback<MessageOf<C>> | undefined;
  }

  set onRestore(callback: RestoreCallback<MessageOf<C>> | null | undefined) {
    this.#parts.app.onRestore = (callback ?? undefined) as RestoreCallback | undefined;
    this.#parts.shell.callbacksChanged(this.name);
  }

  #emitterOf(name: keyof PageGroupEvents): Emitter<PageGroupEvents<C>> {
    const { own, group } = this.#parts;
    return (OWN.has(name) ? own : group) as unknown as Emitter<PageGroupEvents<C>>;
  }
}

/** The application's end of a channel other than the group itself. */
export class LocalChannel implements ChannelApp {
  readonly events = new Emitter<PageGroupEvents>();
  onSnapshot: (() => unknown) | undefined;
  onRestore: RestoreCallback | undefined;

  emit<Name extends keyof PageGroupEvents>(name: Name, ...args: PageGroupEvents[Name]): void {
    this.events.emit(name, ...args);
  }
}
