// Makes a container: node -e THIS port account key container
const [port, account, key, container] = process.argv.slice(1);
const path = `/${account}/${container}`;
const headers = { "x-ms-date": new Date().toUTCString(), "x-ms-version": "2021-08-06" };
// https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key: a dozen lines of headers, all empty here.
const canonical = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`).join("");
const signed = `PUT${"\n".repeat(12)}${canonical}/${account}${path}\nrestype:container`;
const hmac = require("crypto").createHmac("sha256", Buffer.from(key, "base64"));
headers.Authorization = `SharedKey ${account}:${hmac.update(signed, "utf8").digest("base64")}`;
const options = { host: "127.0.0.1", port, path: `${path}?restype=container`, method: "PUT", headers };
const request = require("http").request(options, (answer) => {
  answer.resume();
  if (answer.statusCode !== 201) {
    console.error(`the container was not made: ${answer.statusCode} ${answer.statusMessage}`);
    process.exitCode = 1;
  }
});
request.end();
