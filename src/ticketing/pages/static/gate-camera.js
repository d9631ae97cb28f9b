// The camera: every code it sees is told once, and again after it was away. A WebAssembly decoder reads where the
// browser has none of its own that works.
import { prepareZXingModule, readBarcodes } from "./vendor/zxing/reader/index.js";

const WASM = "./vendor/zxing/zxing_reader.wasm";
const PAUSE = 120;
const FORGET = 2500;

async function decoder() {
  if ("BarcodeDetector" in window && (await BarcodeDetector.getSupportedFormats()).includes("qr_code")) {
    const native = new BarcodeDetector({ formats: ["qr_code"] });
    return async (video) => (await native.detect(video)).map((found) => found.rawValue);
  }
  prepareZXingModule({ overrides: { locateFile: () => WASM } });
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  return async (video) => {
    const scale = Math.min(1, 960 / Math.max(video.videoWidth, video.videoHeight));
    canvas.width = video.videoWidth * scale;
    canvas.height = video.videoHeight * scale;
    pen.drawImage(video, 0, 0, canvas.width, canvas.height);
    const image = pen.getImageData(0, 0, canvas.width, canvas.height);
    const found = await readBarcodes(image, { formats: ["QRCode"], tryHarder: true, maxNumberOfSymbols: 1 });
    return found.filter((one) => one.isValid !== false).map((one) => one.text);
  };
}

export async function watch(video, tell) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
  video.srcObject = stream;
  await video.play();
  const read = await decoder();
  let last = "";
  let seen = 0;
  const look = async () => {
    if (!stream.active) return;
    if (video.readyState >= 2 && !document.hidden) {
      const found = await read(video).catch(() => []);
      for (const text of found) {
        if (text !== last || Date.now() - seen > FORGET) tell(text);
        last = text;
        seen = Date.now();
      }
    }
    setTimeout(look, PAUSE);
  };
  look();
  return () => stream.getTracks().forEach((track) => track.stop());
}
