// The frame in the browser: theme, lost connections, the menu.
(() => {
  const THEME = "theme";
  const cookie = () => document.cookie.split("; ").find((part) => part.startsWith(THEME + "="))?.split("=")[1];
  const keep = (theme) => {
    document.cookie = `${THEME}=${theme}; path=/; max-age=31536000; samesite=strict`;
    document.documentElement.dataset.mantineColorScheme = theme;
    document.body.dataset.agThemeMode = theme; // of the grids
  };
  // Before the layout is requested, so that the server draws its charts for this theme.
  keep(cookie() ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));

  // The requests that pages make anyway show whether the server responds and the session is still valid.
  const ask = window.fetch;
  const lost = (yes) => {
    const message = document.getElementById("lost");
    if (message) message.hidden = !yes;
  };
  window.fetch = async (...request) => {
    try {
      const answer = await ask(...request);
      lost(answer.status >= 502 && answer.status <= 504);
      if (answer.status === 401) location.reload(); // leads to the login
      return answer;
    } catch (error) {
      lost(true);
      throw error;
    }
  };

  // Inputs for files get the text around them as their label for screen readers.
  new MutationObserver(() => {
    for (const input of document.querySelectorAll("input[type=file]:not([aria-label])")) {
      input.setAttribute("aria-label", input.parentElement.textContent);
      input.tabIndex = -1; // the button beside it opens it
    }
  }).observe(document.documentElement, { childList: true, subtree: true });

  const functions = (window.dash_clientside = window.dash_clientside || {});
  functions.frame = {
    theme: (_, templates) => {
      const theme = cookie() === "dark" ? "light" : "dark";
      keep(theme);
      for (const chart of document.querySelectorAll(".js-plotly-plot")) {
        window.Plotly.relayout(chart, { template: templates[theme] });
      }
      return theme;
    },
    current: (_, path) => {
      for (const link of document.querySelectorAll("#menu a")) {
        const here = link.getAttribute("href");
        const last = here.split("/").pop();
        const inside = path === here || (last && path.startsWith(here)) || (!last && path.includes("/run/"));
        inside ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
      }
      return window.dash_clientside.no_update;
    },
  };
})();
