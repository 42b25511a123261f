/** The names of faults, which are also those of the rules that find them: English by their words, Chinese by this table. */

import { nameOf, type Locale } from "../format/names";

const CHINESE: Readonly<Record<string, string>> = {
  air_bearing: "气浮轴承供气不足",
  air_leak: "压缩空气泄漏",
  battery_aging: "电池老化",
  brake: "关节制动器故障",
  calibration_shift: "轴零位偏移",
  cell_resistance: "电芯内阻升高",
  chatter: "切削颤振",
  chip_jam: "切屑堵塞",
  coolant_filter: "冷却液过滤器堵塞",
  delay: "通信延迟",
  drawbar_force_loss: "拉刀力下降",
  drift: "传感器漂移",
  dropout: "传感器掉线",
  duplicate: "消息重复",
  encoder_cable: "编码器电缆断续",
  guide_lubrication: "导轨润滑堵塞",
  harmonic_drive: "谐波减速器磨损",
  hydraulic_leak: "液压泄漏",
  intake_filter: "进气过滤器堵塞",
  link_delay: "通信延迟",
  link_duplicate: "消息重复",
  link_loss: "通信丢包",
  link_silent: "通信中断",
  loss: "通信丢包",
  motor_bearing: "电机轴承损伤",
  rv_reducer: "RV 减速器磨损",
  screw_misalignment: "丝杠支承不对中",
  screw_preload_loss: "丝杠预紧力下降",
  sensor_drift: "传感器漂移",
  sensor_dropout: "传感器掉线",
  sensor_spike: "传感器尖峰",
  sensor_stuck: "传感器卡死",
  silent: "通信中断",
  soiling: "光伏组件积灰",
  spike: "传感器尖峰",
  spindle_bearing_inner: "主轴轴承内圈损伤",
  spindle_bearing_outer: "主轴轴承外圈损伤",
  spindle_chiller_loss: "主轴冷却机性能下降",
  spindle_crash: "主轴碰撞",
  spindle_lubrication_loss: "主轴轴承润滑不足",
  string_loss: "光伏组串断开",
  stuck: "传感器卡死",
  tool_breakage: "刀具折断",
  tool_flank_wear: "刀具后刀面磨损",
  tool_holder_imbalance: "刀柄不平衡",
  vacuum_leak: "夹爪真空泄漏",
  wheel_bearing: "车轮轴承卡滞",
};

/** The name of a fault; without one in the language what its code says. */
export function faultName(code: string, locale: Locale): string {
  return (locale === "zh" && CHINESE[code]) || nameOf(code, locale === "zh" ? "en" : locale);
}
