// Parts of a page marked data-live="SECONDS" are fetched again and put in place, without reloading.
const parts = [...document.querySelectorAll("[data-live]")];
const seconds = Math.min(...parts.map((part) => Number(part.dataset.live)));

const refresh = async () => {
  if (document.hidden) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer?.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelectorAll("[data-live]");
  parts.forEach((part, index) => {
    if (fresh[index] && part.innerHTML !== fresh[index].innerHTML) part.innerHTML = fresh[index].innerHTML;
  });
};
if (parts.length) setInterval(refresh, seconds * 1000);
