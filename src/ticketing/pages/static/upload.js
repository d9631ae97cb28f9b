// Pictures may be dropped or pasted, and are shown before they are sent.
for (const field of document.querySelectorAll("[data-drop]")) {
  const input = field.querySelector("input[type=file]");
  const take = (files) => {
    const pictures = [...files].filter((file) => file.type.startsWith("image/"));
    if (!pictures.length) return false;
    const transfer = new DataTransfer();
    transfer.items.add(pictures[0]);
    input.files = transfer.files;
    input.dispatchEvent(new Event("change"));
    return true;
  };
  field.addEventListener("dragover", (event) => {
    event.preventDefault();
    field.classList.add("over");
  });
  field.addEventListener("dragleave", () => field.classList.remove("over"));
  field.addEventListener("drop", (event) => {
    event.preventDefault();
    field.classList.remove("over");
    take(event.dataTransfer.files);
  });
  field.addEventListener("paste", (event) => take(event.clipboardData.files) && event.preventDefault());
  input.addEventListener("change", () => {
    if (!input.files.length) return;
    let image = field.querySelector("img");
    if (!image) {
      image = document.createElement("img");
      image.width = 240;
      image.alt = "";
      input.before(image);
    }
    if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(input.files[0]);
  });
}
document.addEventListener("paste", (event) => {
  const first = document.querySelector("[data-drop]");
  if (event.clipboardData.files.length && !event.target.closest("[data-drop], textarea, input")) {
    first.dispatchEvent(new ClipboardEvent("paste", { clipboardData: event.clipboardData, cancelable: true }));
  }
});
