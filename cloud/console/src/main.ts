import { createApp } from "vue";
import { Translation } from "vue-i18n";
import App from "./App.vue";
import { i18n, useLanguage } from "./i18n";
import { router } from "./router";
import "./styles/tokens.css";
import "./styles/base.css";

await useLanguage();
// vue-i18n is not installed as a whole: of its components only this one is used
createApp(App).use(i18n).component("i18n-t", Translation).use(router).mount("#app");
