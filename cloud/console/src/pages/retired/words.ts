export const en = {
  title: "Retired machines",
  hint: "Machines that were taken out of the plant. Their history stays; one that sends again comes back by itself.",
  none: "No machine is retired.",
  loading: "Loading the machines …",
  last: "last data {time}",
  back: "Bring back",
};

export const zh: typeof en = {
  title: "已停用的机器",
  hint: "已从工厂中移出的机器。历史数据仍保留；机器重新发送数据后会自动恢复。",
  none: "没有已停用的机器。",
  loading: "正在加载机器……",
  last: "最近数据 {time}",
  back: "恢复",
};
