export const en = {
  title: "Change password",
  of: "Password of {name}",
  hint: "All other logins of this user, and its tokens, end with the change.",
  current: "Current password",
  saved: "The password is changed.",
};

export const zh: typeof en = {
  title: "修改密码",
  of: "{name} 的密码",
  hint: "修改后，该用户在其他地方的登录和令牌都会失效。",
  current: "当前密码",
  saved: "密码已修改。",
};
