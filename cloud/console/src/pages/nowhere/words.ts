export const en = {
  title: "There is no such page.",
  toPlant: "To the plant",
};

export const zh: typeof en = {
  title: "没有这个页面。",
  toPlant: "返回工厂",
};
