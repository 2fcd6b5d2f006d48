// Compiled only: a page as the documentation would have it.
import { BarrageClient, BarrageError, type BarrageEvent, type Room, type WebSocketLike } from '../../barrage.js';
import { Overlay } from '../../overlay.js';

declare const NodeWebSocket: new (url: string, protocols?: string | string[]) => WebSocketLike;

const canvas = document.querySelector('canvas') as HTMLCanvasElement;
const overlay = new Overlay(canvas, { area: 0.5, text: (event: BarrageEvent) => event.body?.text });
const client = new BarrageClient({ url: '/ws', name: '小明', retriesMax: 5, WebSocket });
new BarrageClient({ url: 'ws://127.0.0.1/ws', token: async () => 't', WebSocket: NodeWebSocket }).close();

const off: () => void = client.on('status', ({ state, attempt, delayMs, reason }) => {
  const known: 'connecting' | 'online' | 'reconnecting' | 'failed' | 'closed' = state;
  console.log(known, attempt.toFixed(), delayMs.toFixed(), reason.trim());
});
client.on('failed', ({ reason, code }) => console.log(reason, code ?? 0));
off();

const room: Room = client.join('demo', { history: 50 });
room.on('joined', ({ events, recovered, tickMs }) => console.log(events.length, recovered === true, tickMs));
room.on('batch', ({ events, tickMs, self, leftOut, replay }) => {
  if (!replay) overlay.push(events, { tickMs, self });
  console.log((leftOut.chat ?? 0).toFixed());
});
room.on('gap', ({ count }) => console.log(count.toFixed()));
room.on('hole', ({ expected, prev }) => console.log(expected, prev));
room.on('state', ({ online, likes }) => console.log((online ?? 0) + (likes ?? 0)));
room.on('error', ({ code, retryAfterMs }) => console.log(code, retryAfterMs ?? 0));

async function say(text: string): Promise<boolean> {
  try {
    const { event, stored } = await room.publish({ text, mode: 'top', color: '#ffcc00', size: 'large' }, { key: 'k' });
    console.log(event.id, event.body.text);
    return stored;
  } catch (error) {
    if (error instanceof BarrageError) console.log(error.code, error.retryAfterMs);
    return false;
  }
}

void say('hi');
void room.publish({ gift: 'rocket' }, { kind: 'gift' });
void room.moderate({ action: 'mute', target: 'u1', seconds: 60 });
room.like();
overlay.set({ blockModes: ['top'], reducedMotion: 'ignore', paused: false });
overlay.remove(['a']);
overlay.removeUser('u1');
console.log(overlay.stats.fps, overlay.settings.area, room.accounting.cursor, client.serverNow());

// @ts-expect-error a colour is a string
void room.publish({ text: 'hi', color: 7 });
// @ts-expect-error there is no such event
client.on('batch', () => {});
// @ts-expect-error rooms are made by join
new Room('demo');
// @ts-expect-error an address is needed
new BarrageClient({});
// @ts-expect-error modes have names
overlay.set({ blockModes: ['sideways'] });
