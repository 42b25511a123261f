/** The calls of the fault desk. All raise ApiError. */

import { api, unwrap } from "../../api/client";
import type { components } from "../../api/schema";

export type Machine = components["schemas"]["SimulatedMachine"];
export type Scenario = components["schemas"]["Scenario"];
export type Finding = components["schemas"]["FindingView"];
export type FaultWish = components["schemas"]["FaultWish"];
export type SensorWish = components["schemas"]["SensorWish"];
export type LinkWish = components["schemas"]["LinkWish"];

/** Findings that are compared with the truth: what is open, and what ended lately. */
const MOST = 200;

export const fetchMachines = (): Promise<Machine[]> => unwrap(api.GET("/api/v1/training/machines"));

export const fetchScenarios = (): Promise<Scenario[]> => unwrap(api.GET("/api/v1/training/scenarios"));

export async function fetchBelief(): Promise<Finding[]> {
  return (await unwrap(api.GET("/api/v1/diagnosis/findings", { params: { query: { open: true, limit: MOST } } }))).findings;
}

const of = (asset: string) => ({ params: { path: { asset } } });

export const injectFault = (asset: string, wish: FaultWish): Promise<void> =>
  unwrap(api.POST("/api/v1/training/assets/{asset}/faults", { ...of(asset), body: wish }));

export const breakSensor = (asset: string, wish: SensorWish): Promise<void> =>
  unwrap(api.POST("/api/v1/training/assets/{asset}/sensor_faults", { ...of(asset), body: wish }));

export const breakLink = (asset: string, wish: LinkWish): Promise<void> =>
  unwrap(api.POST("/api/v1/training/assets/{asset}/link_faults", { ...of(asset), body: wish }));

/** Repair one fault of a machine, or with an empty one all of it. */
export const repair = (asset: string, fault = ""): Promise<void> =>
  unwrap(api.DELETE("/api/v1/training/assets/{asset}/faults", { params: { path: { asset }, query: { fault } } }));

export const beginScenario = (scenario: string): Promise<void> =>
  unwrap(api.POST("/api/v1/training/scenarios/{scenario}", { params: { path: { scenario } } }));

export const endScenario = (scenario: string): Promise<void> =>
  unwrap(api.DELETE("/api/v1/training/scenarios/{scenario}", { params: { path: { scenario } } }));
