export const en = {
  title: "There is no such page.",
  closed: "“{page}” is not for the role “{role}”.",
  closedHint: "An administrator can give you a role that may see it.",
  toPlant: "To the plant",
};

export const zh: typeof en = {
  title: "没有这个页面。",
  closed: "“{role}”角色不能打开“{page}”。",
  closedHint: "管理员可以为您分配有权限的角色。",
  toPlant: "返回工厂",
};
