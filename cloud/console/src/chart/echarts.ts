/** The parts of ECharts that the console draws with; nothing else gets into the bundle. */

import { LineChart } from "echarts/charts";
import { AxisPointerComponent, GridComponent, TooltipComponent } from "echarts/components";
import * as echarts from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

echarts.use([LineChart, GridComponent, AxisPointerComponent, TooltipComponent, CanvasRenderer]);

export { echarts };
