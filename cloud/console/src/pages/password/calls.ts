/** The call that changes one's own password; raises ApiError. */

import { api, unwrap } from "../../api/client";

export const changePassword = (current: string, password: string): Promise<unknown> =>
  unwrap(api.PUT("/api/v1/auth/password", { body: { current, new: password } }));
