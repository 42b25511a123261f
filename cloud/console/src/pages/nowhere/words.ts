export const en = {
  title: "There is no such page.",
  closed: "“{page}” is not for the role “{role}”: it needs the role “{needed}”.",
  closedHint: "An administrator can give you that role.",
  toPlant: "To the plant",
};

export const zh: typeof en = {
  title: "没有这个页面。",
  closed: "“{role}”角色不能打开“{page}”，需要“{needed}”角色。",
  closedHint: "管理员可以为您分配该角色。",
  toPlant: "返回工厂",
};
