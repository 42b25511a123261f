/** The calls about findings. All raise ApiError. */

import { api, unwrap, type Outcome } from "../../api/client";
import type { components } from "../../api/schema";

export type Finding = components["schemas"]["FindingView"];
export type Findings = components["schemas"]["Findings"];
export type Evidence = Finding["evidence"][number];
export type Envelope = components["schemas"]["EnvelopeView"];
export type Block = components["schemas"]["BlockView"];
export type Spectrum = components["schemas"]["Spectrum"];
export type Level = Finding["level"];
export type Urgency = Finding["urgency"];
export type Verdict = components["schemas"]["FeedbackWish"]["verdict"];

/** Rows of one page. */
export const PAGE = 50;
/** Blocks that can be gone through. */
const MOST_BLOCKS = 100;

/** Which findings are shown; empty: all. */
export interface Asked {
  readonly asset: string;
  readonly open: boolean;
  readonly level: Level | "";
}

/** A page of findings, the newest first; `after` is what the page before it said, empty for the first. */
export function fetchFindings({ asset, open, level }: Asked, after = ""): Promise<Findings> {
  const query = { limit: PAGE, ...(asset ? { asset: [asset] } : {}), ...(open ? { open } : {}), ...(level ? { level } : {}), ...(after ? { after } : {}) };
  return unwrap(api.GET("/api/v1/diagnosis/findings", { params: { query } }));
}

export const fetchFinding = (id: string): Promise<Finding> =>
  unwrap(api.GET("/api/v1/diagnosis/findings/{finding}", { params: { path: { finding: id } } }));

/** Say what somebody thinks of a finding; of one person the newest word counts. */
export const judge = (id: string, verdict: Verdict, text: string): Promise<unknown> =>
  unwrap(api.POST("/api/v1/diagnosis/findings/{finding}/feedback", { params: { path: { finding: id } }, body: { verdict, text } }) as Promise<Outcome<unknown>>);

/** The blocks of a sensor that began from `start` to `end` (ms), the newest first. */
export async function fetchBlocks(asset: string, sensor: string, start: number, end: number): Promise<Block[]> {
  const query = { asset: [asset], sensor, start: new Date(start).toISOString(), end: new Date(end + 1).toISOString(), limit: MOST_BLOCKS };
  return (await unwrap(api.GET("/api/v1/blocks", { params: { query } }))).blocks;
}

export const fetchSpectrum = (id: string): Promise<Spectrum> =>
  unwrap(api.GET("/api/v1/blocks/{block}", { params: { path: { block: id }, query: { as: "spectrum" } } }) as Promise<Outcome<Spectrum>>);

export const fetchEnvelope = (id: string): Promise<Envelope> =>
  unwrap(api.GET("/api/v1/diagnosis/blocks/{block}/envelope", { params: { path: { block: id } } }) as Promise<Outcome<Envelope>>);
