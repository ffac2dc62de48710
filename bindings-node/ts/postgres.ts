/** Clients of the package `postgres` (postgres.js) that stay connected while their password rotates. */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

import type postgres = require('postgres');

import { Handover } from './handover';
import type { SecretCache } from './index';
import { isRejectedLogin, type Login, type PoolingOptions, PoolSecret, withoutLogin } from './pooling';

/** The settings of a `postgres` client, without user name and password, which come from the secret. */
export type RotatingSqlOptions = Omit<
  postgres.Options<Record<string, postgres.PostgresType>>,
  'user' | 'username' | 'pass' | 'password' | 'socket'
> &
  PoolingOptions & {
    /** The URL of the server, instead of host, port and database. */
    url?: string | undefined;
  };

/**
 * Makes a client like `postgres()` does: a function for tagged queries, with a pool behind it. Every new connection logs
 * in with the user name and password of a version of the secret that works, even during a rotation. Connections stay
 * open for `max_lifetime`, when the driver closes them. You set one host, port, database and TLS.
 *
 * ```js
 * import { SecretCache } from 'secretcache';
 * import { createSql } from 'secretcache/postgres';
 *
 * const sql = createSql(new SecretCache(), 'prod/checkout/db', { host: 'db.internal', database: 'checkout' });
 * const rows = await sql`select now()`;
 * ```
 *
 * @throws {TypeError} If the settings or the URL contain a password, or several hosts.
 */
export function createSql(cache: SecretCache, secretId: string, options: RotatingSqlOptions = {}): postgres.Sql {
  const makeSql = require('postgres') as typeof postgres;
  const { pass, ...given } = options as RotatingSqlOptions & { pass?: unknown };
  const checked = withoutLogin(pass === undefined ? given : { ...given, password: pass }, secretId, ['url']);
  const { connectTimeoutMs, url, ...settings } = checked as RotatingSqlOptions;
  const make = (own: object): postgres.Sql =>
    url === undefined ? makeSql({ ...settings, ...own }) : makeSql(url, { ...settings, ...own });
  // This client never connects: it resolves URL, environment variables and settings as the driver does.
  const place = make({ user: USER, pass: '' }).options as unknown as Place;
  if (place.host.length > 1) throw new TypeError('secretcache/postgres connects to one host; name one');

  const secret = new PoolSecret(cache, secretId, { connectTimeoutMs }, () => {});
  const waiting: Handover[] = [];
  let using: Login | undefined;

  /** The driver calls this for each connection, and again for the same query after a refusal. */
  async function socket(): Promise<Socket> {
    const handover = waiting.shift() ?? new Handover(secret);
    const login = await handover.login();
    try {
      return observed(await open(place), login, {
        use: (deliver) => {
          using = login;
          deliver();
          using = undefined;
        },
        accepted: () => handover.accepted(),
        refused: (error) => {
          handover.refused(error);
          waiting.push(handover);
        },
        abandoned: (error) => handover.abandoned(error),
      });
    } catch (error) {
      handover.abandoned(error);
      throw error;
    }
  }

  // `open` sets up TLS, so that the server's answers to a login can be read here.
  const sql = make({ user: USER, pass: () => using?.password ?? '', ssl: false, socket });
  const end = sql.end.bind(sql);
  sql.end = async (...how) => {
    secret.close();
    for (const each of waiting.splice(0)) each.abandoned(new Error('the client has ended'));
    await end(...how);
  };
  return sql;
}

/** A placeholder for the user name, and for the database if none is set. `withUser` replaces it. */
const USER = '(from the secret)';

/** Where to connect, as resolved by the driver. */
interface Place {
  host: string[];
  port: number[];
  path: string | false;
  connect_timeout: number;
  ssl: boolean | string | object;
  sslnegotiation: string | null;
}

/** Connects as the driver does, with TLS if it is enabled. Returns a socket that is ready for the first message. */
async function open({ host: [host = ''], port: [port = 5432], path, ssl, sslnegotiation, ...more }: Place): Promise<Socket> {
  const signal = AbortSignal.timeout(more.connect_timeout * 1000);
  const socket = path === false ? connect(port, host) : connect(path);
  try {
    await once(socket, 'connect', { signal });
    if (ssl === false) return socket;
    const isDirect = sslnegotiation === 'direct';
    if (!isDirect) {
      socket.write(SSL_REQUEST);
      const [answer] = (await once(socket, 'data', { signal })) as [Buffer];
      if (answer.toString('latin1') !== 'S') {
        if (ssl === 'prefer' && answer.toString('latin1') === 'N') return socket;
        throw new Error(`the server at ${host}:${port} does not offer TLS`);
      }
    }
    const secured = connectTls({
      socket,
      ...(isIP(host) ? {} : { servername: host }),
      ...(isDirect ? { ALPNProtocols: ['postgresql'] } : {}),
      ...(['require', 'allow', 'prefer'].includes(ssl as string) ? { rejectUnauthorized: false } : {}),
      ...(typeof ssl === 'object' ? ssl : {}),
    });
    await once(secured, 'secureConnect', { signal });
    return secured;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
const CANCEL_REQUEST = 80877102;

/** The maximum length of a message before the login ends. */
const LONGEST_MESSAGE = 2 ** 16;

/** Gets notified how a connection's login went. */
interface Observer {
  /** Calls `deliver`, which passes the driver a message that it may answer with the password. */
  use(deliver: () => void): void;
  accepted(): void;
  refused(error: Error): void;
  abandoned(error: unknown): void;
}

/**
 * Puts the login into a connection and reads the server's answers. The driver does not see a refusal: the connection
 * closes, and the driver opens another for the waiting query.
 */
function observed(socket: Socket, login: Login, observer: Observer): Socket {
  const { write, emit } = socket;
  const restore = (): void => {
    Reflect.deleteProperty(socket, 'write');
    Reflect.deleteProperty(socket, 'emit');
  };
  let pending = Buffer.alloc(0);

  /** Processes the data received so far. Once the login is over, returns the rest, to be delivered unchanged. */
  function read(): Buffer | undefined {
    while (pending.length >= 5) {
      const length = pending.readUInt32BE(1) + 1;
      if (length > LONGEST_MESSAGE) return pending;
      if (pending.length < length) return undefined;
      const message = pending.subarray(0, length);
      const kind = String.fromCharCode(message[0] as number);
      if (length < (kind === 'R' ? 9 : 5)) {
        // Reading what is missing would throw, and end the process.
        restore();
        socket.destroy(new Error('the server sent a message that is too short for the protocol of PostgreSQL'));
        return undefined;
      }
      const request = kind === 'R' ? message.readUInt32BE(5) : undefined;
      if (request === 0) {
        observer.accepted();
        return pending;
      }
      if (kind === 'E') {
        const error = errorIn(message);
        if (!isRejectedLogin(error)) return pending;
        observer.refused(error);
        restore();
        socket.destroy();
        return undefined;
      }
      pending = pending.subarray(length);
      // The driver would compute it from the placeholder user name.
      if (request === 5) socket.write(md5Answer(login, message.subarray(9)));
      else observer.use(() => void Reflect.apply(emit, socket, ['data', message]));
    }
    return undefined;
  }

  socket.write = (first: any, ...more: any[]): boolean => {
    Reflect.deleteProperty(socket, 'write');
    const isCancel = (first as Buffer).readUInt32BE(4) === CANCEL_REQUEST;
    if (isCancel) restore();
    if (isCancel) observer.abandoned(new Error('the connection was for a cancel request'));
    return Reflect.apply(write, socket, [isCancel ? first : withUser(first, login.username), ...more]) as boolean;
  };
  socket.emit = (name: string | symbol, ...values: any[]): boolean => {
    if (name === 'close') observer.abandoned(new Error('the connection was closed'));
    if (name !== 'data') return Reflect.apply(emit, socket, [name, ...values]) as boolean;
    pending = Buffer.concat([pending, values[0] as Buffer]);
    const rest = read();
    if (rest !== undefined) {
      restore();
      socket.emit('data', rest);
    }
    return true;
  };
  return socket;
}

/** Returns the first message of a connection with the placeholder replaced by the user name. */
function withUser(message: Buffer, user: string): Buffer {
  const fields = message.toString('utf8', 8).split('\0');
  const body = Buffer.from(fields.map((each) => (each === USER ? user : each)).join('\0'));
  const head = Buffer.from(message.subarray(0, 8));
  head.writeUInt32BE(8 + body.length);
  return Buffer.concat([head, body]);
}

function md5Answer({ username, password }: Login, salt: Buffer): Buffer {
  const md5 = (data: string | Buffer): string => createHash('md5').update(data).digest('hex');
  const hash = md5(Buffer.concat([Buffer.from(md5(password + username)), salt]));
  const answer = Buffer.from(`p\0\0\0\0md5${hash}\0`);
  answer.writeUInt32BE(answer.length - 1, 1);
  return answer;
}

/** Parses an error message of the server as the driver does. */
function errorIn(message: Buffer): Error {
  const fields = message.toString('utf8', 5).split('\0');
  const field = (name: string): string => fields.find((each) => each.startsWith(name))?.slice(1) ?? '';
  return Object.assign(new Error(field('M')), { code: field('C') });
}
