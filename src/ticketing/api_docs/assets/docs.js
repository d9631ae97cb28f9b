// Starts Swagger UI from the attributes of #reference, and adds what it lacks: both headers, a contents list.
"use strict";

(() => {
  const { kept, keep } = ticketingDocs;
  const reference = document.getElementById("reference");
  const { openapiUrl, clientVersion } = reference.dataset;
  const KEY_SCHEME = "SessionKey";
  const KEPT_KEY = "ticketing.docs.key";

  const ours = (url) => new URL(url, location.href).origin === location.origin;

  const ui = SwaggerUIBundle({
    url: openapiUrl,
    domNode: reference,
    deepLinking: true,
    displayRequestDuration: true,
    docExpansion: "list",
    filter: true,
    defaultModelsExpandDepth: 0,
    tryItOutEnabled: true,
    validatorUrl: null,          // the default sends the document to validator.swagger.io
    queryConfigEnabled: false,   // a link to /docs?url=... must not show somebody else's document
    persistAuthorization: false, // it would keep keys in localStorage for ever; see rememberKey
    syntaxHighlight: { activated: true, theme: "agate" },
    requestInterceptor: (request) => {
      const named = Object.keys(request.headers ?? {}).some((name) => name.toLowerCase() === "x-client-version");
      if (ours(request.url) && !named) request.headers = { ...request.headers, "X-Client-Version": clientVersion };
      return request;
    },
    onComplete: () => {
      ui.preauthorizeApiKey("ClientVersion", clientVersion);
      const key = kept("sessionStorage", KEPT_KEY);
      if (key) ui.preauthorizeApiKey(KEY_SCHEME, key);
      rememberKey();
      listContents();
    },
  });

  // The key outlives a reload, but not the tab.
  function rememberKey() {
    const system = ui.getSystem();
    system.getStore().subscribe(() => {
      const authorized = system.authSelectors.authorized();
      keep("sessionStorage", KEPT_KEY, authorized?.getIn([KEY_SCHEME, "value"]) ?? null);
    });
  }

  function listContents() {
    const contents = document.getElementById("contents");
    const spec = ui.getSystem().specSelectors.specJson().toJS();
    const described = (spec.tags ?? []).map((tag) => tag.name);
    const operations = Object.values(spec.paths ?? {}).flatMap((path) => Object.values(path));
    const used = operations.flatMap((operation) => operation?.tags ?? []);
    const count = (tag) => used.filter((name) => name === tag).length;
    const tags = [...new Set([...described, ...used])].filter(count);
    contents.replaceChildren(...tags.map((tag) => {
      const link = document.createElement("a");
      link.href = "#/" + encodeURIComponent(tag);
      link.textContent = tag;
      const number = document.createElement("span");
      number.textContent = count(tag);
      link.append(number);
      link.addEventListener("click", (event) => {
        event.preventDefault();
        history.replaceState(null, "", link.href);
        const section = [...reference.querySelectorAll(".opblock-tag")].find((heading) => heading.dataset.tag === tag);
        if (section?.dataset.isOpen === "false") section.click();
        section?.scrollIntoView({ behavior: "smooth", block: "start" });
      });
      return link;
    }));
  }
})();
