// Uploads a file with tus-js-client: tus.mjs MODULE URL FILE SHA256 START_OR_RESUME. `start` cuts the one PATCH at 40 %.
import fs from "node:fs";
import process from "node:process";

const [module, url, path, sha256, what] = process.argv.slice(2);
const tus = await import(module);
const size = fs.statSync(path).size;
const options = {
  endpoint: url + "/api/v2/blobs",
  uploadUrl: what === "start" ? null : what,
  uploadSize: size,
  chunkSize: 32 * 1024 * 1024,
  metadata: { filename: "photo.jpeg", filetype: "image/jpeg", sha256 },
  retryDelays: [0, 500, 1000],
  onError: (error) => { console.error(String(error)); process.exit(1); },
  onProgress: (sent) => {
    if (what === "start" && sent > size * 0.4) {
      console.log(upload.url);
      process.exit(0); // the connection breaks in the midst of a request
    }
  },
  onSuccess: () => console.log("done"),
};
const upload = new tus.Upload(fs.createReadStream(path, what === "start" ? {} : {}), options);
upload.start();
