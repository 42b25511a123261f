/** What is asked of the edge node of a line while a machine is connected. All raise ApiError, or RefusedError. */

import { api, unwrap } from "../../api/client";
import type { components } from "../../api/schema";

type Wishes = components["schemas"];
type Wish = Wishes["DetectWish"] | Wishes["BrowseWish"] | Wishes["ProposeWish"] | Wishes["ApplyWish"];
export type Tag = components["schemas"]["Found"] & { writable?: boolean };
export type Options = Record<string, unknown>;

/** The edge node of a line, by which it is reached. */
export interface Line {
  readonly node: string;
  readonly area: string;
  readonly line: string;
}

/** Something that answers at an address, as the edge recognizes it. */
export interface Answer {
  readonly driver: string;
  readonly address: string;
  readonly confidence: number;
  readonly text: string;
  readonly options: Options;
  readonly todo: string;
}

export interface Answers {
  readonly found: readonly Answer[];
  readonly trouble: string;
  readonly todo: string;
}

export interface Proposal {
  readonly entry: Options;
  readonly yaml: string;
  readonly left_out: Readonly<Record<string, string>>;
}

export interface Applied {
  readonly trouble?: string;
}

/** The edge did not do what was wished; the text says why, in its own words. */
export class RefusedError extends Error {}

const PLANT_FILE = "Health/plant_file";
const ASK_EVERY_MS = 300;
const EXPIRES_S = 60;
const OPEN: readonly string[] = ["queued", "sent"];

/** The lines whose edge node is one of ours, and follows a plant file: those of other makers take no wishes. */
export async function fetchLines(): Promise<Line[]> {
  const nodes = (await unwrap(api.GET("/api/v1/assets"))).filter(({ kind }) => kind === "node");
  const details = await Promise.all(nodes.map(({ id }) => unwrap(api.GET("/api/v1/assets/{asset}", { params: { path: { asset: id } } }))));
  return details.filter(({ signals }) => signals.some(({ name }) => name === PLANT_FILE)).map(({ id, area, line }) => ({ node: id, area, line }));
}

export const detect = (node: string, address: string): Promise<Answers> => done(node, { verb: "detect", driver: "", address, expires_s: EXPIRES_S }) as Promise<Answers>;

export const fetchTags = (node: string, of: Answer, options: Options, path: string): Promise<{ tags: Tag[]; more: boolean }> =>
  done(node, { verb: "browse", driver: of.driver, address: of.address, options, path, expires_s: EXPIRES_S }) as Promise<{ tags: Tag[]; more: boolean }>;

export function propose(node: string, of: Answer, options: Options, machine: string, kind: string, tags: readonly Tag[]): Promise<Proposal> {
  const found = tags.map(({ writable: _, ...tag }) => tag);
  return done(node, { verb: "propose", driver: of.driver, address: of.address, options, machine, kind, tags: found, expires_s: EXPIRES_S }) as Promise<Proposal>;
}

/** The entries of a line as they stand in its plant file, and the hash of that. */
export const fetchPlant = (node: string): Promise<{ sha256: string; machines: Record<string, unknown> }> =>
  done(node, { verb: "browse", driver: "", address: "", options: {}, path: "", expires_s: EXPIRES_S }) as Promise<{ sha256: string; machines: Record<string, unknown> }>;

export const apply = (node: string, machine: string, entry: Options, based_on: string): Promise<Applied> =>
  done(node, { verb: "apply", machine, entry, based_on, expires_s: EXPIRES_S }) as Promise<Applied>;

/** Wish it, and wait until the edge has answered, or until it can do so no more. */
async function done(node: string, body: Wish): Promise<unknown> {
  let command = await unwrap(api.POST("/api/v1/assets/{asset}/commands", { params: { path: { asset: node } }, body }));
  while (OPEN.includes(command.state)) {
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
    command = await unwrap(api.GET("/api/v1/commands/{command}", { params: { path: { command: command.id } } }));
  }
  if (command.state !== "done") throw new RefusedError(command.reason || command.state);
  return command.result;
}
