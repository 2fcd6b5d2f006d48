// Processes started by the commands of docs/cluster.md as they stand there, on free ports and in
// a folder of their own.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BUILT = path.resolve(ROOT, process.env.CARGO_TARGET_DIR ?? 'target', 'release');
const DOCUMENT = path.join(ROOT, 'docs/cluster.md');
const PATIENCE_MS = 60_000;
const LOG_SHOWN = 4_000;

/** The nats-server to use: the newest of those that scripts/test.sh installs. */
const natsServer = () => (process.env.BARRAGE_NATS_SERVERS ?? 'nats-server').split(':').at(-1);
const programs = { 'nats-server': natsServer, 'barrage-gateway': () => path.join(BUILT, 'barrage-gateway'), 'barrage-bridge': () => path.join(BUILT, 'barrage-bridge') };

/** Looks until there is something; `more` says what else there is to know if nothing comes. */
export async function eventually(what, look, more = () => '') {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < deadline, `${what}: not within ${PATIENCE_MS} ms${more()}`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

const answers = (url) => fetch(url, { signal: AbortSignal.timeout(2_000) }).then(({ ok }) => ok, () => false);

async function connects(port) {
  const socket = net.connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

class Process {
  #child; #log = ''; #name;

  constructor(name, file, words, folder) {
    this.#name = name;
    const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('BARRAGE_')));
    this.#child = spawn(file, words, { cwd: folder, env: { ...env, NO_COLOR: '1' }, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream.on('data', (text) => { this.#log = (this.#log + text).slice(-LOG_SHOWN); });
    this.ended = new Promise((resolve) => {
      this.#child.on('error', (error) => resolve(error));
      this.#child.on('close', (code, signal) => resolve(code ?? signal));
    });
    this.ended.then((end) => { this.end = end; });
  }

  /** Waits for a sign that it is up. */
  async up(look) {
    const end = () => `; its log ends with\n${this.#log}`;
    await eventually(`${this.#name} to be up`, () => {
      assert.equal(this.end, undefined, `${this.#name} has ended${end()}`);
      return look();
    }, end);
  }

  /** Asks it to end, and returns its exit code; one that does not end is killed. */
  async stop() {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE_MS);
    const end = await this.ended;
    clearTimeout(timer);
    return end;
  }

  get log() { return this.#log; }
}

/** The commands of the document, and what runs of them. */
export class Stage {
  #commands; #ports = new Map(); #running = []; folder;

  static async set() {
    const stage = new Stage();
    const text = await readFile(DOCUMENT, 'utf8');
    const blocks = [...text.matchAll(/```console\n([\s\S]*?)```/g)].map(([, block]) => block);
    stage.#commands = blocks.flatMap((block) => [...block.matchAll(/^\$ (.+)$/gm)].map(([, command]) => command));
    stage.folder = await mkdtemp(path.join(tmpdir(), 'barrage-cluster-'));
    return stage;
  }

  /** The commands that the document gives for a program, in its order. */
  commands(program) {
    const found = this.#commands.filter((command) => command.split(' ')[0] === program);
    assert.ok(found.length > 0, `docs/cluster.md starts no ${program}`);
    return found;
  }

  /** The free port that stands for one of the document. */
  async port(documented) {
    if (!this.#ports.has(documented)) this.#ports.set(documented, await freePort());
    return this.#ports.get(documented);
  }

  async #start(command, more = []) {
    const [program, ...words] = command.split(' ');
    const own = [];
    for (const word of [...words, ...more]) {
      const port = /(?<=127\.0\.0\.1:)\d+$|^\d+$/.exec(word)?.[0];
      own.push(port ? word.replace(port, await this.port(port)) : word);
    }
    const running = new Process(program, programs[program](), own, this.folder);
    this.#running.push(running);
    return running;
  }

  async startNats() {
    const process = await this.#start(this.commands('nats-server')[0]);
    const port = await this.port('4222');
    await process.up(() => connects(port));
  }

  /** Starts the gateways of the document; where their pages and their admin ports are. */
  async startGateways() {
    const gateways = [];
    for (const command of this.commands('barrage-gateway')) {
      const told = (flag, otherwise) => new RegExp(`${flag} 127\\.0\\.0\\.1:(\\d+)`).exec(command)?.[1] ?? otherwise;
      const [pages, admin] = [told('--listen', '8080'), told('--admin-listen', '9090')];
      // Where the document relies on a default, the free port has to be said.
      const missing = [['--listen', pages], ['--admin-listen', admin]].filter(([flag]) => !command.includes(flag));
      const process = await this.#start(command, missing.flatMap(([flag, port]) => [flag, `127.0.0.1:${port}`]));
      const url = (port) => `http://127.0.0.1:${port}`;
      gateways.push({ process, pages: `${url(await this.port(pages))}/`, admin: url(await this.port(admin)) });
    }
    for (const { process, admin } of gateways) await process.up(() => answers(`${admin}/readyz`));
    return gateways;
  }

  async startArchive() {
    const process = await this.#start(this.commands('barrage-bridge')[0], ['--listen', '127.0.0.1:9092']);
    const url = `http://127.0.0.1:${await this.port('9092')}/metrics`;
    await process.up(() => answers(url));
    return process;
  }

  /** Runs the bridge's other commands to their end; what they print. */
  async bridge(...words) {
    const child = spawn(programs['barrage-bridge'](), words, { cwd: this.folder, stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (more) => { text += more; });
    const [code] = await once(child, 'close');
    assert.equal(code, 0, `barrage-bridge ${words.join(' ')}`);
    return text;
  }

  /** Stops everything, last started first. */
  async clear() {
    for (const process of this.#running.splice(0).reverse()) await process.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
