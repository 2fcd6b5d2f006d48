// The picture of a load tester's report for the README.
//
//   node web/tests/screenshot-report.mjs report.html [file.jpg]
//
// Without a second argument it writes `docs/images/report.jpg`.
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { launch } from './pages-browser.mjs';

const FILE = path.resolve(process.argv[3] ?? fileURLToPath(new URL('../../docs/images/report.jpg', import.meta.url)));
const PAGE = { width: 1000, height: 1130 };

const browser = await launch();
try {
  const page = await browser.newPage({ viewport: PAGE, deviceScaleFactor: 1.5 });
  await page.goto(pathToFileURL(path.resolve(process.argv[2])).href);
  await mkdir(path.dirname(FILE), { recursive: true });
  await page.screenshot({ path: FILE, type: 'jpeg', quality: 84 });
  console.log(FILE);
} finally {
  await browser.close();
}
