/** The calls about blocks. All raise ApiError. */

import { api, unwrap, type Outcome } from "../../api/client";
import type { components } from "../../api/schema";

export type Block = components["schemas"]["BlockView"];
export type Numbers = components["schemas"]["Numbers"];
export type Spectrum = components["schemas"]["Spectrum"];

/** Blocks of one machine that are listed. */
const MOST = 5;

const ask = (id: string, as: "numbers" | "spectrum") => api.GET("/api/v1/blocks/{block}", { params: { path: { block: id }, query: { as } } });

export const fetchNumbers = (id: string): Promise<Numbers> => unwrap(ask(id, "numbers") as Promise<Outcome<Numbers>>);

export const fetchSpectrum = (id: string): Promise<Spectrum> => unwrap(ask(id, "spectrum") as Promise<Outcome<Spectrum>>);

/** The newest blocks of a machine. */
export async function fetchRecent(asset: string): Promise<Block[]> {
  return (await unwrap(api.GET("/api/v1/blocks", { params: { query: { asset: [asset], limit: MOST } } }))).blocks;
}
