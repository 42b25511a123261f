/** Chinese of what machines and their catalogs say in words; a text that is not listed is shown as it came. */

import { signalName, type Locale } from "../format/names";
import { stateText } from "../plant/kinds";

/** Words of enumerations and alarms of the shipped machines, in capital letters; # stands for any number. Kinds tell those of states. */
const TERMS: Readonly<Record<string, string>> = {
  HIGH: "高",
  LOW: "低",
  PRODUCTION: "生产",
  CUTTING: "切削中",
  START: "启动",
  FINISHED: "完成",
  DONE: "完成",
  RESET: "复位",
  CLEARED: "已清除",
  SETUP: "调整",
  MAINTENANCE: "维护",
  OFFLINE: "离线",
  ONLINE: "在线",
  NORMAL: "正常",
  WARNING: "警告",
  TRIGGERED: "已触发",
  ARMED: "正常",
  OPEN: "打开",
  CLOSED: "关闭",
  LOADED: "加载",
  UNLOADED: "卸载",
  AUTOMATIC: "自动",
  SEMI_AUTOMATIC: "半自动",
  MANUAL: "手动",
  MANUAL_DATA_INPUT: "MDI（手动数据输入）",
  EDIT: "编辑",
  GOOD: "合格",
  SCRAP: "报废",
  CHARGING: "充电",
  "AIR PRESSURE TOO LOW": "气压过低",
  "BATTERY EMPTY": "电池耗尽",
  "BATTERY RESISTANCE TOO HIGH": "电池内阻过高",
  "BRAKE TEST FAILED: JOINT #": "关节 # 制动测试未通过",
  "CELL TEMPERATURE TOO HIGH": "电芯温度过高",
  "COLLISION DETECTION: JOINT #": "关节 # 检测到碰撞",
  "COOLANT PRESSURE TOO LOW": "冷却液压力过低",
  "DRIVE MOTOR OVERLOAD": "驱动电机过载",
  "GRIP MISSED": "抓取失败",
  "GUIDE LUBRICATION BLOCKED": "导轨润滑堵塞",
  "HYDRAULIC PRESSURE TOO LOW": "液压压力过低",
  "JOINT # ENCODER": "关节 # 编码器故障",
  "MOTOR TOO HOT: JOINT #": "关节 # 电机过热",
  "MOTOR VIBRATION TOO HIGH": "电机振动过大",
  "OUTLET TEMPERATURE TOO HIGH": "出口温度过高",
  "PART LOST": "工件掉落",
  "SPINDLE BEARING TOO HOT": "主轴轴承过热",
  "SPINDLE CHILLER FAILED": "主轴冷却机故障",
  "SPINDLE UNBALANCE TOO HIGH": "主轴不平衡量过大",
  "SPINDLE VIBRATION TOO HIGH": "主轴振动过大",
  "STATE OF CHARGE TOO HIGH": "荷电状态过高",
  "STATE OF CHARGE TOO LOW": "荷电状态过低",
  "STRING CURRENT TOO LOW": "组串电流过低",
  "TOOL BREAKAGE: LOAD TOO LOW": "刀具破损：负载过低",
  "TOOL CLAMPING FORCE TOO LOW": "刀具夹紧力过低",
  "TOOL LOAD TOO HIGH": "刀具负载过高",
  "X AXIS OVERLOAD: COLLISION": "X 轴过载：碰撞",
  "X ENCODER SIGNAL": "X 轴编码器信号异常",
  "X MEASURING SYSTEMS DIFFER": "X 轴测量系统读数不一致",
  "X SCREW TOO HOT": "X 轴丝杠过热",
};

/** Descriptions in the catalogs of the shipped machines and in the health of edge nodes. */
const DESCRIPTIONS: Readonly<Record<string, string>> = {
  "AUTOMATIC, MANUAL_DATA_INPUT or MANUAL": "自动、MDI 或手动",
  "Above 0 charges": "大于 0 为充电",
  "Active alarm, empty when there is none": "当前报警，无报警时为空",
  "Duration of the last finished cycle": "上一个完整循环的时长",
  "Emissions since the start: a gap is a loss": "启动以来的发送序号，缺号即丢失",
  "Execution state (MTConnect words)": "执行状态（MTConnect 用词）",
  "Fed into the grid": "馈入电网的电能",
  "Line number of the NC block": "NC 程序段行号",
  "Net taken since the start": "启动以来的净用电量",
  "RMS, 10 Hz to 10 kHz": "有效值，10 Hz 至 10 kHz",
  "RMS, 10 to 1000 Hz": "有效值，10 至 1000 Hz",
  "Sag of joint 2 at the last brake test": "上次制动测试时关节 2 的下滑量",
  "Servo current; sign of the force": "伺服电流，反映受力方向",
  "Since the start": "启动以来",
  "good, scrap or empty": "合格、报废或空",
  "a loss, a gap or a clock jump": "丢失、缺口或时钟跳变",
  "blocks sent since the start": "启动以来发送的数据块数",
  "blocks taken since the start": "启动以来采集的数据块数",
  "blocks that were told again, and left out": "重复收到并已忽略的数据块数",
  "blocks to be sent that the spool had no room for": "缓存空间不足而未能发送的数据块数",
  "events taken since the start, those of detectors too": "启动以来采集的事件数，包括检测器的事件",
  "events that were told again, and left out": "重复收到并已忽略的事件数",
  "failures of detectors since the start": "启动以来检测器的失败次数",
  "failures of the driver since the start": "启动以来驱动程序的失败次数",
  "integers that a double cannot hold, now uncertain": "双精度数无法精确表示的整数，标为不确定",
  "messages in the spool": "缓存中的消息数",
  "samples taken since the start": "启动以来采集的样本数",
  "since data or the word that nothing changed": "距上次收到数据或“无变化”消息的时间",
  "since there was anything new; -1: no data yet": "距上次有新数据的时间，−1 表示尚无数据",
  "size of the messages in the spool": "缓存中消息的大小",
  "tasks of the process": "进程的任务数",
  "the part of it that says what to do": "其中说明处理办法的部分",
  "the same, for programs": "同上，供程序使用",
  "times that cannot be the source's, replaced": "不可能来自数据源而被替换的时间",
  "values or messages thrown away since the start, for any reason": "启动以来因任何原因丢弃的数值或消息",
  "values that do not fit their datatype, kept as bad": "与数据类型不符、标为坏质量的数值",
  "what became of the messages of the spool": "缓存中各消息的去向",
  "the plant file that runs: its hash, 12 digits of it": "正在使用的工厂文件：其哈希值的前 12 位",
  "why the plant file on disk is another one; empty: it is not": "磁盘上的工厂文件未被采用的原因；为空表示已采用",
  "why it is not read; empty: it is": "无法读取的原因；为空表示正常",
};

/** Why a machine is not there, by the server's code: what is so, and what to do. English is the server's own text. */
const REASONS: Readonly<Record<string, readonly [what: string, todo: string]>> = {
  unreachable: ["边缘程序无法连接到这台机器。", "机器开机了吗？工厂文件中的地址和端口正确吗？"],
  wrong_address: ["这不是可用的机器地址。", "请按驱动的写法填写：名称或 IP 地址、端口，或 opc.tcp://… 这样的地址。"],
  unknown_name: ["没有这个名称的计算机。", "请检查拼写，改写 IP 地址，或询问网络管理员。"],
  not_allowed: ["边缘程序的设置不允许询问这个网络。", "请在边缘端的 SHOPFLOOR_PROBE_NETWORKS 中加入该网络。"],
  login_refused: ["机器拒绝了登录：用户名或密码不对，或该用户没有权限。", "请检查工厂文件中的 user 和 password_file，以及该用户在机器上的权限。"],
  unknown_signals: ["已连接到机器，但工厂文件中列出的信号它一个也没有。", "请更正工厂文件中的信号地址。以下命令列出机器提供的信号："],
  unreadable_password: ["边缘程序无法读取此机器的密码文件。", "请检查工厂文件中的 password_file 及其文件权限。"],
  wrong_security: ["机器不接受工厂文件中设定的安全方式。", "请在工厂文件的 security 中选择机器提供的方式，或在机器上启用它。"],
  expired_certificate: ["机器的 OPC UA 服务器证书尚未生效或已过期。", "请在机器上更新证书，或校准时钟。"],
  not_trusted_there: ["机器的 OPC UA 服务器不信任边缘程序的证书。", "请在机器上将边缘程序的证书列为受信任的证书。"],
  too_many_sessions: ["机器的 OPC UA 服务器没有空闲的会话。", "请关闭其他客户端，或提高服务器的会话上限。"],
  lost: ["与这台机器的连接已中断，正在自动重试。", "机器开机了吗？网络正常吗？"],
  driver_failed: ["此机器的驱动程序出错，正在自动重试。", "详情见边缘程序的日志，请反馈此问题。"],
  untrusted_certificate: ["机器的 OPC UA 服务器证书未被信任。", "如果指纹与服务器上显示的一致，请运行以下命令信任它："],
  no_data: ["已连接到它的地址，但收不到它的数据。", "机器开机了吗？工厂文件中的条目与它发送的内容一致吗？"],
  unreadable: ["收到了它的消息，但无法读取。", "边缘程序的日志中有示例：其条目的 payload、encoding 和路径正确吗？"],
  overdue: ["在其条目的 offline_after_s 时间内没有收到它的数据。", "机器开机了吗？工厂文件中的条目与它发送的内容一致吗？"],
  silent: ["没有收到它的任何消息，也没有“无变化”的消息。", "机器开机了吗？边缘程序在运行吗？详情见其日志。"],
  broker_away: ["云端未连接到 MQTT 消息代理。", "请启动 MQTT 消息代理，或更正 SHOPFLOOR_MQTT_URL。"],
  gateway_away: ["消息代理上没有任何机器的消息。", "网关和边缘程序在运行吗？日志会说明原因。"],
  not_heard: ["网关启动以来没有收到过它的消息。", "边缘程序在运行吗？能连到消息代理吗？详情见其日志。"],
  connecting: ["其边缘节点正在连接它。", "请稍候。"],
  offline: ["它已离线。", "详情见网关的日志。"],
  edge_silent: ["其边缘节点没有消息，可能已断开。", "边缘程序在运行吗？能连到消息代理吗？详情见其日志。"],
  not_served: ["工厂文件中此机器的条目有误，因此没有读取它。", "请运行 shopfloor check 检查工厂文件，并改正此条目。"],
  died: ["其边缘节点表示已与它失去联系（DDEATH）。", "详情见边缘程序的日志。"],
  edge_died: ["其边缘节点已断开（NDEATH）。", "边缘程序在运行吗？能连到消息代理吗？详情见其日志。"],
};

/**
 * Why a machine is not there and what to do, in the language, or as the server says it. `command` is what to type,
 * where the words have it apart.
 */
export function reasonText(why: Reason, locale: Locale): { what: string; todo: string; command: string } {
  const known = locale === "zh" ? REASONS[why.code] : undefined;
  const command = why.args["command"] ?? "";
  if (!known) return { what: why.text, todo: why.do, command };
  const named = /`(shopfloor [^`]+)`/.exec(`${why.do} ${why.text}`)?.[1] ?? "";
  return { what: known[0], todo: known[1], command: command || named };
}

interface Reason {
  readonly code: string;
  readonly text: string;
  readonly do: string;
  readonly args: Readonly<Record<string, string>>;
}

/** A machine's word in the language, or as it came. */
export function termText(text: string, locale: Locale): string {
  if (locale !== "zh") return text;
  const term = text.trim().toUpperCase();
  return TERMS[term] ?? TERMS[term.replace(/\d+/, "#")]?.replace("#", /\d+/.exec(term)![0]) ?? stateText(text, locale);
}

/** What is wrong with a machine: its alarm, or the signal that says it. */
export function faultText({ fault, kind, readings }: Faulty, locale: Locale): string {
  if (fault === null) return "";
  return readings.has(fault) ? signalName({ name: fault }, locale, kind) : termText(fault, locale);
}

interface Faulty {
  readonly fault: string | null;
  readonly kind: string;
  readonly readings: ReadonlyMap<string, unknown>;
}

export function descriptionText(text: string, locale: Locale): string {
  return (locale === "zh" && DESCRIPTIONS[text]) || text;
}
