// Counts down to a moment, by the difference to the server's clock where the page says what that was.
const shift = Number(document.documentElement.dataset.now || 0) ? Number(document.documentElement.dataset.now) - Date.now() : 0;

export function countDown(element, until, atEnd) {
  const tick = () => {
    const left = Math.max(0, Math.round((until.getTime() - Date.now() - shift) / 1000));
    const days = Math.floor(left / 86400);
    const hours = Math.floor((left % 86400) / 3600);
    const minutes = Math.floor((left % 3600) / 60);
    const two = (number) => String(number).padStart(2, "0");
    element.textContent = (days ? `${days} d ` : "") + (days || hours ? `${hours}:${two(minutes)}` : minutes) + `:${two(left % 60)}`;
    if (left === 0) {
      clearInterval(timer);
      if (atEnd) atEnd();
    }
  };
  const timer = setInterval(tick, 1000);
  tick();
}
