/** The calls about users, for admins. All raise ApiError. */

import { api, unwrap } from "../../api/client";
import type { components } from "../../api/schema";

export type User = components["schemas"]["UserView"];
export type UserWithLink = components["schemas"]["UserWithLink"];
export type NewUser = components["schemas"]["NewUser"];
export type UserChange = components["schemas"]["UserChange"];

const of = (username: string) => ({ params: { path: { username } } });

export const fetchUsers = (): Promise<User[]> => unwrap(api.GET("/api/v1/users"));

export const addUser = (user: NewUser): Promise<UserWithLink> => unwrap(api.POST("/api/v1/users", { body: user }));

export const changeUser = (username: string, change: Partial<UserChange>): Promise<UserWithLink> =>
  unwrap(api.PATCH("/api/v1/users/{username}", { ...of(username), body: { new_link: false, ...change } }));

export const deleteUser = (username: string): Promise<void> => unwrap(api.DELETE("/api/v1/users/{username}", of(username)));
