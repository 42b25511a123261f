/** Ids (`spindle_speed`, `joint1_temperature`, `machining`) as words, in English and Chinese. */

export type Locale = "en" | "zh";

/** Chinese of the words that ids are made of; a name is only translated when all of its words are known. */
const WORDS: Readonly<Record<string, string>> = {
  acceleration: "加速度",
  active: "运行",
  actual: "实际",
  age: "时长",
  air: "空气",
  alarm: "报警",
  ambient: "环境",
  angle: "角度",
  apparent: "视在",
  area: "车间",
  arm: "臂",
  assembly: "装配",
  auto: "自动",
  average: "平均",
  axes: "轴",
  axis: "轴",
  base: "基座",
  battery: "电池",
  bearing: "轴承",
  block: "程序段",
  brake: "制动",
  bytes: "字节数",
  cabinet: "电柜",
  cell: "单元",
  chuck: "卡盘",
  closed: "闭合",
  code: "代码",
  command: "指令",
  commanded: "指令",
  condition: "状况",
  connected: "已连接",
  controller: "控制器",
  coolant: "冷却液",
  count: "计数",
  counter: "计数",
  current: "电流",
  cycle: "循环",
  cycles: "循环数",
  data: "数据",
  distance: "距离",
  door: "门",
  drawbar: "拉杆",
  drive: "驱动",
  drop: "下滑",
  dropped: "丢弃",
  edge: "边缘",
  emergency: "急停",
  enclosure: "防护罩",
  energy: "电能",
  error: "误差",
  execution: "执行状态",
  factor: "因数",
  factory: "工厂",
  fan: "风扇",
  feed: "进给",
  feedrate: "进给速度",
  flow: "流量",
  following: "跟随",
  force: "力",
  frequency: "频率",
  front: "前端",
  good: "合格",
  grip: "抓取",
  gripper: "夹爪",
  hall: "厂房",
  head: "主轴箱",
  health: "健康",
  heater: "加热器",
  height: "高度",
  humidity: "湿度",
  hydraulic: "液压",
  idle: "空闲",
  inlet: "进口",
  joint: "关节",
  last: "最近",
  length: "长度",
  level: "液位",
  line: "产线",
  load: "负载",
  lubrication: "润滑",
  machine: "机器",
  machining: "机加工",
  message: "消息",
  meter: "电表",
  misses: "失败次数",
  mode: "模式",
  motor: "电机",
  number: "编号",
  oil: "油",
  open: "打开",
  order: "订单",
  outlet: "出口",
  override: "倍率",
  packaging: "包装",
  painting: "涂装",
  pallet: "托盘",
  part: "工件",
  parts: "工件",
  path: "路径",
  payload: "载荷",
  phase: "相",
  position: "位置",
  power: "功率",
  pressure: "压力",
  program: "程序",
  protective: "保护性",
  pump: "泵",
  quality: "质量",
  rate: "速率",
  reactive: "无功",
  rear: "后端",
  records: "记录数",
  reject: "不良",
  remaining: "剩余",
  robot: "机器人",
  run: "运行",
  running: "运行",
  safety: "安全",
  samples: "样本数",
  scrap: "废品",
  screw: "丝杠",
  sequence: "序号",
  servo: "伺服",
  set: "设定",
  setpoint: "设定值",
  shanghai: "上海",
  spare: "备用",
  speed: "速度",
  spindle: "主轴",
  spool: "缓存",
  state: "状态",
  status: "状态",
  step: "步骤",
  stop: "停止",
  supply: "电源",
  tank: "箱",
  target: "目标",
  tcp: "末端",
  temperature: "温度",
  test: "测试",
  time: "时间",
  tool: "刀具",
  torque: "扭矩",
  total: "总",
  tracking: "跟踪",
  unclamp: "松刀",
  vacuum: "真空",
  valve: "阀",
  velocity: "速度",
  vibration: "振动",
  voltage: "电压",
  warehouse: "仓库",
  wear: "磨损",
  weight: "重量",
  welding: "焊接",
  width: "宽度",
  workshop: "车间",
};

/** Names whose Chinese is not the sum of their words. */
const PHRASES: Readonly<Record<string, string>> = {
  controller_mode: "控制模式",
  drawbar_force: "拉刀力",
  dropped_total: "丢弃总数",
  emergency_stop: "急停",
  feed_rate: "进给速度",
  last_data_age: "最近数据时效",
  line_number: "程序行号",
  part_count: "工件计数",
  power_factor: "功率因数",
  samples_total: "样本总数",
  spindle_speed: "主轴转速",
  tcp_speed: "末端速度",
};

const UNIT_SUFFIXES = new Set(["s", "ms", "ns", "mm", "kwh"]);
const PAST = /[_\-./\s]+/;
/** `cnc-01` is the name of a thing, not words about it. */
const IDENTIFIER = /-\d/;

/** The words of an id: `joint1_temperature` is joint, 1, temperature; `SpindleSpeed` is spindle, speed. */
export function wordsOf(id: string): string[] {
  return id
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .replace(/([A-Za-z]{3,})(\d+)/g, "$1_$2")
    .split(PAST)
    .filter((word) => word !== "")
    .map((word) => (/^[A-Z]+\d*$/.test(word) ? word : word.toLowerCase()));
}

/** A readable name for an id, or the id itself where no honest one can be made; a path is named level by level. */
export function nameOf(id: string, locale: Locale): string {
  const levels = id.split("/").filter((level) => level !== "");
  return levels.map((level) => (IDENTIFIER.test(level) ? level : levelName(level, locale))).join(" · ") || id;
}

function levelName(id: string, locale: Locale): string {
  const words = wordsOf(id);
  const last = words.at(-1);
  if (words.length > 1 && last && UNIT_SUFFIXES.has(last)) words.pop();
  return (locale === "zh" ? chinese(words) : english(words)) ?? id;
}

function english(words: readonly string[]): string | null {
  if (words.length === 0) return null;
  const text = words.map((word) => (isAxis(word) || word === "tcp" ? word.toUpperCase() : word)).join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function chinese(words: readonly string[]): string | null {
  const whole = PHRASES[words.join("_")];
  if (whole) return whole;
  const tail = PHRASES[words.slice(1).join("_")];
  const first = words[0] === undefined ? null : chineseWord(words[0]);
  if (tail && first) return join([first, tail]);
  const parts = words.map(chineseWord);
  return parts.length === 0 || parts.includes(null) ? null : join(parts as string[]);
}

function chineseWord(word: string): string | null {
  if (/^\d+$/.test(word)) return word;
  if (isAxis(word)) return `${word.toUpperCase()} 轴`;
  return WORDS[word] ?? null;
}

function isAxis(word: string): boolean {
  return /^[abcxyz]\d?$/i.test(word);
}

/** Chinese words stand together; digits and letters are set off by a thin space. */
function join(parts: readonly string[]): string {
  return parts.join(" ").replace(/(?<=\p{Script=Han}) (?=\p{Script=Han})/gu, "");
}

/** What is known by an id and may have names: an asset. `label` is what its source calls it, where that is not the id. */
export interface Named {
  readonly id: string;
  readonly names?: Readonly<Record<string, string>>;
  readonly label?: string;
}

/** The display name of an asset: what the plant file says, else what its source calls it, else its id. */
export function displayName({ id, names, label }: Named, locale: Locale): string {
  return names?.[locale] || names?.["en"] || Object.values(names ?? {})[0] || label || id;
}

/** The display name of a signal: what its source calls it, else its name in words. */
export function signalName({ name, label }: { readonly name: string; readonly label?: string }, locale: Locale): string {
  return label || nameOf(name, locale);
}
