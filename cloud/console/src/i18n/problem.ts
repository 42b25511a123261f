/** What went wrong and what to do about it: by the problem's code in the language of the screen, else as the server says it. */

import { useI18n } from "vue-i18n";
import type { ApiError } from "../api/client";

export function useProblems() {
  const { t, te } = useI18n();

  /** The values of a sentence; those that are words of ours, in the language. */
  function filled({ args, fields }: ApiError): Record<string, string> {
    const texts = Object.entries(args).map(([name, value]): [string, string] => {
      const text = Array.isArray(value) ? value.join(", ") : String(value);
      return [name, te(`session.role.${text}`) && (name === "role" || name === "has") ? t(`session.role.${text}`) : text];
    });
    return { fields: fields.join(", "), ...Object.fromEntries(texts) };
  }

  return (problem: ApiError): { what: string; todo: string } => {
    if (problem.status === 0) return { what: t("error.network"), todo: t("error.networkTodo") };
    const words = `problem.${problem.code}`;
    if (!problem.code || !te(`${words}.what`)) return { what: problem.detail, todo: problem.todo };
    const values = filled(problem);
    return { what: t(`${words}.what`, values), todo: te(`${words}.todo`) ? t(`${words}.todo`, values) : "" };
  };
}
