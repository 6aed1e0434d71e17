import { after } from 'node:test';
import { lastFirst } from '../../cluster.js';
import { CONNECTOR_SCHEMA, CONNECTOR_TABLES, testMariadbConnector } from './mariadb-connector-suite.js';
import { startThreeShards } from './shards.js';

const atEnd = lastFirst(after);
const shards = await startThreeShards(atEnd, [CONNECTOR_SCHEMA], CONNECTOR_TABLES);
testMariadbConnector('MariaDB', shards, atEnd);
