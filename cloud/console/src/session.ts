/** Who is signed in, as the server says it; the session itself is a cookie that scripts cannot read. */

import { shallowRef } from "vue";
import { api, ApiError, unwrap } from "./api/client";
import type { Me } from "./api/types";
import * as plant from "./plant/plant";

/** As cloud/openapi.json says of PasswordChange. */
export const SHORTEST_PASSWORD = 10;

export const me = shallowRef<Me | null>(null);

export type Role = Me["role"];

export type Action = Me["actions"][number];

/** Every role, as cloud/auth/rights.py has them; an admin may give each of them. */
export const ROLES: readonly Role[] = ["viewer", "operator", "maintainer", "engineer", "trainer", "student", "maker", "admin"];

/** Whether who is signed in may do this. */
export function may(action: Action): boolean {
  return me.value !== null && me.value.actions.includes(action);
}

/** Ask the server who we are; null when it does not know us. Raises ApiError when it cannot be asked. */
export async function loadMe(): Promise<Me | null> {
  try {
    me.value = await unwrap<Me>(api.GET("/api/v1/auth/me"));
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    me.value = null;
  }
  return me.value;
}

export async function leave(): Promise<void> {
  plant.close();
  try {
    await unwrap(api.POST("/api/v1/auth/logout"));
  } catch (error) {
    // whoever leaves is gone from this screen, whatever the server says
    if (!(error instanceof ApiError)) throw error;
  }
  me.value = null;
}
