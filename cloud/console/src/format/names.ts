/** Ids (`spindle_speed`, `joint1_temperature`, `machining`) as words, in English and Chinese. */

export type Locale = "en" | "zh";

/** Chinese of the words that ids are made of; a name is only translated when all of its words are known. */
const WORDS: Readonly<Record<string, string>> = {
  acceleration: "加速度",
  accuracy: "精度",
  active: "运行",
  actual: "实际",
  age: "时长",
  agv: "AGV",
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
  ball: "滚动体",
  base: "基座",
  battery: "电池",
  bearing: "轴承",
  block: "程序段",
  brake: "制动",
  bytes: "字节数",
  cabinet: "电柜",
  cage: "保持架",
  cell: "单元",
  charge: "电量",
  charging: "充电中",
  chuck: "卡盘",
  clock: "时钟",
  closed: "闭合",
  code: "代码",
  command: "指令",
  commanded: "指令",
  compressor: "空压机",
  condition: "状况",
  connected: "已连接",
  controller: "控制器",
  coolant: "冷却液",
  cooling: "冷却",
  count: "计数",
  counter: "计数",
  crane: "起重机",
  crest: "峰值因数",
  current: "电流",
  cycle: "循环",
  cycles: "循环数",
  data: "数据",
  depth: "深度",
  deviation: "偏差",
  device: "设备",
  distance: "距离",
  door: "门",
  drawbar: "拉杆",
  drill: "钻床",
  drive: "驱动",
  drop: "下滑",
  dropped: "丢弃",
  dryer: "干燥机",
  edge: "边缘",
  emergency: "急停",
  enabled: "启用",
  enclosure: "防护罩",
  energy: "电能",
  entry: "条目",
  error: "误差",
  execution: "执行状态",
  exported: "馈出",
  factor: "因数",
  factory: "工厂",
  failures: "失败次数",
  fan: "风扇",
  feed: "进给",
  feedrate: "进给速度",
  floor: "本底",
  flow: "流量",
  following: "跟随",
  force: "力",
  forming: "成形",
  frequency: "频率",
  friction: "摩擦",
  front: "前端",
  furnace: "加热炉",
  gas: "燃气",
  good: "合格",
  grip: "抓取",
  gripper: "夹爪",
  hall: "厂房",
  head: "主轴箱",
  health: "健康",
  heat: "热量",
  heater: "加热器",
  heating: "加热",
  height: "高度",
  high: "高",
  humidity: "湿度",
  hydraulic: "液压",
  idle: "空闲",
  inlet: "进口",
  inner: "内圈",
  irradiance: "辐照度",
  joint: "关节",
  kurtosis: "峭度",
  l1: "L1",
  l2: "L2",
  l3: "L3",
  laser: "激光机",
  last: "最近",
  ledger: "账本",
  length: "长度",
  level: "液位",
  limit: "限值",
  line: "产线",
  load: "负载",
  low: "低",
  lubrication: "润滑",
  machine: "机器",
  machining: "机加工",
  max: "最大",
  mean: "平均",
  measured: "测量",
  message: "消息",
  meter: "电表",
  mill: "铣床",
  min: "最小",
  misfits: "类型不符数",
  misses: "失败次数",
  mixer: "搅拌机",
  mode: "模式",
  module: "组件",
  motor: "电机",
  noise: "噪声",
  number: "编号",
  oil: "油",
  once: "一倍频",
  open: "打开",
  order: "订单",
  outer: "外圈",
  outlet: "出口",
  oven: "烘箱",
  override: "倍率",
  packaging: "包装",
  painting: "涂装",
  pallet: "托盘",
  part: "工件",
  parts: "工件",
  path: "路径",
  payload: "载荷",
  peak: "峰值",
  phase: "相",
  play: "间隙",
  position: "位置",
  power: "功率",
  press: "压力机",
  pressure: "压力",
  printer: "打印机",
  program: "程序",
  protective: "保护性",
  pump: "泵",
  quality: "质量",
  rate: "速率",
  reactive: "无功",
  ready: "就绪",
  rear: "后端",
  records: "记录数",
  reject: "不良",
  remaining: "剩余",
  replaced: "替换",
  resistance: "内阻",
  rise: "温升",
  robot: "机器人",
  room: "室内",
  roughness: "粗糙度",
  rounded: "舍入数",
  rpm: "转速",
  run: "运行",
  running: "运行",
  safety: "安全",
  samples: "样本数",
  saw: "锯床",
  scrap: "废品",
  screw: "丝杠",
  sequence: "序号",
  server: "服务器",
  servo: "伺服",
  set: "设定",
  setpoint: "设定值",
  shanghai: "上海",
  silent: "静默时长",
  size: "尺寸",
  spare: "备用",
  speed: "速度",
  spindle: "主轴",
  spool: "缓存",
  state: "状态",
  status: "状态",
  step: "步骤",
  stop: "停止",
  stray: "非倍频",
  stroke: "行程",
  supply: "电源",
  tank: "箱",
  target: "目标",
  task: "任务",
  tasks: "任务数",
  tcp: "末端",
  temperature: "温度",
  test: "测试",
  time: "时间",
  times: "时间",
  todo: "处理办法",
  tool: "刀具",
  torque: "扭矩",
  total: "总",
  tracking: "跟踪",
  trips: "行程数",
  trouble: "异常",
  twice: "二倍频",
  unclamp: "松刀",
  utilities: "公用工程",
  vacuum: "真空",
  value: "数值",
  valve: "阀",
  velocity: "速度",
  verdict: "判定",
  vibration: "振动",
  voltage: "电压",
  volume: "体积",
  warehouse: "仓库",
  washer: "清洗机",
  water: "水",
  wear: "磨损",
  weight: "重量",
  welder: "焊机",
  welding: "焊接",
  width: "宽度",
  workshop: "车间",
  zone: "区",
};

/** Names whose Chinese is not the sum of their words. */
const PHRASES: Readonly<Record<string, string>> = {
  air_pressure: "气压",
  battery_charge: "电池电量",
  blocks_refused_total: "拒绝的数据块总数",
  blocks_repeated_total: "重复的数据块总数",
  blocks_sent_total: "已发送的数据块总数",
  blocks_total: "数据块总数",
  brake_drop: "制动下滑",
  cell_resistance: "电芯内阻",
  charging: "充电中",
  controller_mode: "控制模式",
  cruise_current: "匀速行驶电流",
  cycle_count: "循环计数",
  cycle_time: "循环时间",
  depth_deviation: "深度偏差",
  door_open: "门打开",
  detector_failures_total: "检测器失败总数",
  drawbar_force: "拉刀力",
  dropped_total: "丢弃总数",
  emergency_stop: "急停",
  energy_exported: "馈出电能",
  events_repeated_total: "重复的事件总数",
  events_total: "事件总数",
  failures_total: "失败总数",
  feed_rate: "进给速度",
  grip_miss_rate: "抓取失败率",
  grip_misses: "抓取失败次数",
  hydraulic_activity: "液压压力波动",
  last_data_age: "最近数据时效",
  line_number: "程序行号",
  load_cycles: "加载次数",
  loaded_power: "加载功率",
  loaded_temperature: "加载时温度",
  measured_count: "测量件数",
  misfits_total: "类型不符总数",
  motor_acceleration: "电机振动加速度",
  motor_velocity: "电机振动速度",
  part_count: "工件计数",
  power_factor: "功率因数",
  rounded_total: "舍入总数",
  samples_total: "样本总数",
  scrap_count: "废品数",
  server_time: "服务器时间",
  silent: "静默时长",
  size_deviation: "尺寸偏差",
  spindle_acceleration: "主轴振动加速度",
  spindle_override: "主轴倍率",
  spindle_speed: "主轴转速",
  spindle_velocity: "主轴振动速度",
  standing_current: "静止电流",
  tcp_speed: "末端速度",
  times_replaced_total: "替换时间总数",
  tool_number: "刀具号",
  unclamp_time: "松刀时间",
  yield_of_sun: "单位辐照发电量",
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

/** Kinds of machines that ship: of their names is known that x is an axis. */
const OUR_KINDS = new Set(["cnc", "lathe", "grinder", "robot", "agv", "measuring", "compressor", "pv", "battery", "meter", "node"]);

/**
 * A readable name for an id, or the id itself where no honest one can be made; a path is named level by level.
 * `kind` is that of the machine: only of the kinds that ship a lone letter is taken for an axis.
 */
export function nameOf(id: string, locale: Locale, kind = "cnc"): string {
  const levels = id.split("/").filter((level) => level !== "");
  const axes = OUR_KINDS.has(kind);
  return levels.map((level) => (IDENTIFIER.test(level) ? level : levelName(level, locale, axes))).join(" · ") || id;
}

/** The name of a place or a kind, which stands alone: without a Chinese one it is written as in English. */
export function titleOf(id: string, locale: Locale): string {
  const name = nameOf(id, locale);
  return name === id ? nameOf(id, "en") : name;
}

function levelName(id: string, locale: Locale, axes: boolean): string {
  const words = wordsOf(id);
  const last = words.at(-1);
  if (words.length > 1 && last && UNIT_SUFFIXES.has(last)) words.pop();
  // "b" alone is a name that somebody gave, whatever it stands for
  if (words.length === 1 && words[0]!.length <= 2 && isAxis(words[0]!)) return id;
  return (locale === "zh" ? chinese(words, axes) : english(words)) ?? id;
}

function english(words: readonly string[]): string | null {
  if (words.length === 0) return null;
  const text = words.map((word) => (isAxis(word) || UPPER.has(word) ? word.toUpperCase() : word)).join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const UPPER = new Set(["tcp", "l1", "l2", "l3", "agv"]);

function chinese(words: readonly string[], axes: boolean): string | null {
  const whole = PHRASES[words.join("_")];
  if (whole) return whole;
  const tail = PHRASES[words.slice(1).join("_")];
  const first = words[0] === undefined ? null : chineseWord(words[0], axes);
  if (tail && first) return join([first, tail]);
  const parts = words.map((word) => chineseWord(word, axes));
  return parts.length === 0 || parts.includes(null) ? null : join(parts as string[]);
}

function chineseWord(word: string, axes: boolean): string | null {
  if (/^\d+$/.test(word)) return word;
  if (isAxis(word)) return axes ? `${word.toUpperCase()} 轴` : null;
  return WORDS[word.toLowerCase()] ?? null;
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
export function signalName({ name, label }: { readonly name: string; readonly label?: string }, locale: Locale, kind?: string): string {
  return label || nameOf(name, locale, kind);
}
