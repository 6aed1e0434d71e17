import { after } from 'node:test';
import { lastFirst } from '../../cluster.js';
import { SEQUELIZE_TABLES, testSequelize } from './sequelize-suite.js';
import { startThreeShards } from './shards.js';

const atEnd = lastFirst(after);
testSequelize('MariaDB', await startThreeShards(atEnd, [], SEQUELIZE_TABLES), atEnd);
