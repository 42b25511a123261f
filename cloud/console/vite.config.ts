import vue from "@vitejs/plugin-vue";
import elementPlus from "unplugin-element-plus/vite";
import { defineConfig } from "vitest/config";

const cloud = process.env["SHOPFLOOR_URL"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [vue(), elementPlus({})],
  define: {
    __VUE_OPTIONS_API__: true, // Element Plus has components written that way
    __VUE_PROD_DEVTOOLS__: false,
    __VUE_I18N_LEGACY_API__: false,
    __VUE_I18N_FULL_INSTALL__: false,
    __INTLIFY_PROD_DEVTOOLS__: false,
  },
  build: { target: "es2022", reportCompressedSize: true, chunkSizeWarningLimit: 800 },
  server: { host: "127.0.0.1", proxy: { "/api": { target: cloud } } },
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
});
