/** The calls of the sign-in. All raise ApiError. */

import { api, unwrap } from "../../api/client";

export const signIn = (username: string, password: string): Promise<unknown> =>
  unwrap(api.POST("/api/v1/auth/login", { body: { username, password } }));

export const redeemLink = (token: string): Promise<unknown> => unwrap(api.POST("/api/v1/auth/link", { body: { token } }));

export const setPassword = (password: string): Promise<unknown> =>
  unwrap(api.PUT("/api/v1/auth/password", { body: { new: password } }));
