export const en = {
  title: "Sign in",
  user: "User name",
  password: "Password",
  signIn: "Sign in",
  hint: "First start? Open the one-time link that the server printed.",
  linkUsing: "Signing in with the one-time link …",
  setTitle: "Choose a password",
  setHint: "You came by a one-time link. Choose a password for the next time: at least {n} characters.",
  save: "Save and continue",
  passwordOf: "For the user {name} ({role})",
};

export const zh: typeof en = {
  title: "登录",
  user: "用户名",
  password: "密码",
  signIn: "登录",
  hint: "首次启动？请打开服务器打印的一次性登录链接。",
  linkUsing: "正在用一次性链接登录……",
  setTitle: "设置密码",
  setHint: "您是通过一次性链接进入的。请为下次登录设置密码，至少 {n} 个字符。",
  save: "保存并继续",
  passwordOf: "用户 {name}（{role}）",
};
