/** Clients of the package `postgres` (postgres.js) that stay connected while their password rotates. */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

import type postgres = require('postgres');

import { Handover } from './handover';
import type { SecretCache } from './index';
import { isRejectedLogin, type Login, type PoolingOptions, PoolSecret, withoutLogin } from './pooling';

/** Settings of a client: those of `postgres`, without user name and password, which come from the secret. */
export type RotatingSqlOptions = Omit<
  postgres.Options<Record<string, postgres.PostgresType>>,
  'user' | 'username' | 'pass' | 'password' | 'socket'
> &
  PoolingOptions & {
    /** The URL of the server, in place of host, port and database. */
    url?: string | undefined;
  };

/**
 * Makes what `postgres()` makes, a function for tagged queries with a pool behind it. Each new connection takes user
 * name and password from one version of a secret: one that works, even during a rotation. Connections stay open for
 * `max_lifetime`, as the driver closes them. You give one host, port, database and TLS.
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
  // Connects to nothing: the driver's own reading of URL, variables and settings.
  const place = make({ user: USER, pass: '' }).options as unknown as Place;
  if (place.host.length > 1) throw new TypeError('secretcache/postgres connects to one host; name one');

  const secret = new PoolSecret(cache, secretId, { connectTimeoutMs }, () => {});
  const waiting: Handover[] = [];
  let using: Login | undefined;

  /** Called by the driver for each connection. After a refusal it comes again with the same query. */
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

  // TLS begins in `open`, so that the answers to a login can be read here.
  const sql = make({ user: USER, pass: () => using?.password ?? '', ssl: false, socket });
  const end = sql.end.bind(sql);
  sql.end = async (...how) => {
    secret.close();
    for (const each of waiting.splice(0)) each.abandoned(new Error('the client has ended'));
    await end(...how);
  };
  return sql;
}

/** Stands for the user name, and for the database if none is named, until a connection begins. */
const USER = '(from the secret)';

/** Where to connect, as the driver has understood it. */
interface Place {
  host: string[];
  port: number[];
  path: string | false;
  connect_timeout: number;
  ssl: boolean | string | object;
  sslnegotiation: string | null;
}

/** Connects, with TLS if that is wanted: as the driver does, but ready for the first message. */
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

/** No message before the end of a login is longer. */
const LONGEST_MESSAGE = 2 ** 16;

/** Learns how a connection's login went. */
interface Observer {
  /** Delivers a message that the driver may answer with the password. */
  use(deliver: () => void): void;
  accepted(): void;
  refused(error: Error): void;
  abandoned(error: unknown): void;
}

/**
 * Puts the login into a connection and reads what the server answers. A refusal does not reach the driver: the
 * connection ends, and the driver makes another for the query that waits.
 */
function observed(socket: Socket, login: Login, observer: Observer): Socket {
  const { write, emit } = socket;
  const restore = (): void => {
    Reflect.deleteProperty(socket, 'write');
    Reflect.deleteProperty(socket, 'emit');
  };
  let pending = Buffer.alloc(0);

  /** Reads what has come so far, and returns what is to be delivered as it is. */
  function read(): Buffer | undefined {
    while (pending.length >= 5) {
      const length = pending.readUInt32BE(1) + 1;
      if (length > LONGEST_MESSAGE) return pending;
      if (pending.length < length) return undefined;
      const message = pending.subarray(0, length);
      const kind = String.fromCharCode(message[0] as number);
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
      // The driver would make it with a user name that is fixed.
      if (request === 5) socket.write(md5Answer(login, message.subarray(9)));
      else observer.use(() => void Reflect.apply(emit, socket, ['data', message]));
    }
    return undefined;
  }

  socket.write = (first: any, ...more: any[]): boolean => {
    Reflect.deleteProperty(socket, 'write');
    const isCancel = (first as Buffer).readUInt32BE(4) === CANCEL_REQUEST;
    if (isCancel) restore();
    if (isCancel) observer.abandoned(new Error('it was no login'));
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

/** The first message of a connection, with the user name. */
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

/** What the server refuses, as the driver would say it. */
function errorIn(message: Buffer): Error {
  const fields = message.toString('utf8', 5).split('\0');
  const field = (name: string): string => fields.find((each) => each.startsWith(name))?.slice(1) ?? '';
  return Object.assign(new Error(field('M')), { code: field('C') });
}
