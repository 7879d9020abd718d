// Language and theme: chosen here, remembered by the browser, at first as it has them.
import { one } from "./elements.js";
import { currentLanguage, fill, onLanguage, speak } from "./words.js";

const KEPT_AS = "kadr.theme";

/** Let both be chosen, and fill in the words of the document. */
export function start() {
  const language = one("#language");
  const theme = one("#theme");
  language.addEventListener("change", () => speak(language.value));
  theme.value = document.documentElement.dataset.theme ?? "system";
  theme.addEventListener("change", () => dress(theme.value));
  const show = () => {
    document.documentElement.lang = currentLanguage();
    language.value = currentLanguage();
    fill(document);
  };
  onLanguage(show);
  show();
}

/** @param {string} theme - "system", "light" or "dark". */
function dress(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    if (theme === "system") localStorage.removeItem(KEPT_AS);
    else localStorage.setItem(KEPT_AS, theme);
  } catch {
    // Storage may be forbidden; the choice then holds as long as the page is open.
  }
}
