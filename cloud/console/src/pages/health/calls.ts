/** The calls about health. All raise ApiError. */

import { api, unwrap } from "../../api/client";
import type { components } from "../../api/schema";

export type AssetHealth = components["schemas"]["AssetHealth"];
export type Health = AssetHealth["health"];
export type Planted = components["schemas"]["Planted"];
export type Finding = components["schemas"]["FindingView"];

export async function fetchHealth(): Promise<AssetHealth[]> {
  return (await unwrap(api.GET("/api/v1/diagnosis/health"))).assets;
}

/** The fault with which simulated machines began; null: none. */
export async function fetchPlanted(): Promise<Planted | null> {
  return (await unwrap(api.GET("/api/v1/training"))).planted;
}

/** Findings of one machine that are shown on its page. */
const MOST = 20;

/** What is open of a machine, the newest first. */
export async function fetchOpen(asset: string): Promise<Finding[]> {
  return (await unwrap(api.GET("/api/v1/diagnosis/findings", { params: { query: { asset: [asset], open: true, limit: MOST } } }))).findings;
}
