/** The calls about API tokens: one's own, an admin's of all users. All raise ApiError. */

import { api, unwrap } from "../../api/client";
import type { components } from "../../api/schema";

export type Token = components["schemas"]["TokenView"];
export type NewToken = components["schemas"]["NewToken"];
export type TokenWithSecret = components["schemas"]["TokenWithSecret"];

export const fetchTokens = (): Promise<Token[]> => unwrap(api.GET("/api/v1/tokens"));

export const addToken = (token: NewToken): Promise<TokenWithSecret> => unwrap(api.POST("/api/v1/tokens", { body: token }));

export const revokeToken = (id: number): Promise<void> =>
  unwrap(api.DELETE("/api/v1/tokens/{token_id}", { params: { path: { token_id: id } } }));
