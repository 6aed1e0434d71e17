import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import mysql2 from 'mysql2';
import { DataTypes, Op, QueryTypes, Sequelize, UniqueConstraintError } from 'sequelize';
import type { After } from '../../cluster.js';
import type { ThreeShards } from './shards.js';

/** Tables as in the configuration; Sequelize makes them. */
export const SEQUELIZE_TABLES = { customers: { key: 'id' }, orders: { key: 'customer_id' } };

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const plain = (rows: { get(options: { plain: true }): unknown }[]) =>
  rows.map((row) => row.get({ plain: true }));

/** Sequelize in front of three shards that have none of its tables yet. */
export function testSequelize(name: string, { url, onEach }: ThreeShards, atEnd: After): void {
  const sequelize = new Sequelize(url, {
    dialect: 'mysql',
    dialectModule: mysql2,
    logging: false,
    pool: { max: 4 },
    define: { timestamps: false, underscored: true },
  });
  atEnd(() => sequelize.close());

  const Customer = sequelize.define('customer', {
    id: { type: DataTypes.UUID, primaryKey: true },
    name: { type: DataTypes.STRING(60), allowNull: false },
    country: { type: DataTypes.CHAR(2), allowNull: false },
  });
  const Order = sequelize.define('order', {
    customerId: { type: DataTypes.UUID, primaryKey: true },
    number: { type: DataTypes.INTEGER, primaryKey: true },
    total: { type: DataTypes.INTEGER, allowNull: false },
    placed: { type: DataTypes.DATE(3), allowNull: false, defaultValue: DataTypes.NOW },
  });
  Customer.hasMany(Order, { foreignKey: 'customerId', constraints: false });
  Order.belongsTo(Customer, { foreignKey: 'customerId', constraints: false });

  describe(`Sequelize against three shards of ${name}`, () => {
    test('its sync makes the tables on every shard', async () => {
      await sequelize.authenticate();
      await sequelize.sync();
      assert.deepEqual(
        await onEach(
          "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'shop' AND table_name IN ('customers', 'orders')",
        ),
        [2, 2, 2],
      );
    });

    test('bulkCreate, findByPk, update and destroy by the key', async () => {
      await Customer.bulkCreate(
        Array.from({ length: 60 }, (_, n) => ({
          id: id(n),
          name: `customer ${n}`,
          country: n % 2 === 0 ? 'SE' : 'NO',
        })),
      );
      const [updated] = await Customer.update({ name: 'Grace' }, { where: { id: id(7) } });
      assert.equal(updated, 1);
      assert.equal(await Customer.destroy({ where: { id: id(8) } }), 1);
      const found = await Customer.findByPk(id(7));
      assert.deepEqual(found?.get({ plain: true }), { id: id(7), name: 'Grace', country: 'NO' });
      assert.equal(await Customer.findByPk(id(8)), null);
      await assert.rejects(
        Customer.create({ id: id(7), name: 'twice', country: 'NO' }),
        UniqueConstraintError,
      );
    });

    test('upserts by the key', async () => {
      await Customer.upsert({ id: id(500), name: 'first', country: 'FI' });
      await Customer.upsert({ id: id(500), name: 'second', country: 'FI' });
      const found = await Customer.findByPk(id(500));
      assert.equal(found?.get('name'), 'second');
    });

    test('a transaction of an order, and a join on the key', async () => {
      await sequelize.transaction(async (transaction) => {
        await Order.create({ customerId: id(7), number: 1, total: 30 }, { transaction });
        await Order.create({ customerId: id(7), number: 2, total: 12 }, { transaction });
      });
      await assert.rejects(
        sequelize.transaction(async (transaction) => {
          await Order.create({ customerId: id(7), number: 3, total: 1 }, { transaction });
          await Order.create({ customerId: id(9), number: 1, total: 1 }, { transaction });
          throw new Error('changed my mind');
        }),
        /changed my mind/,
      );
      const found = await Customer.findAll({
        attributes: ['name'],
        where: { id: id(7) },
        include: [{ model: Order, attributes: ['number', 'customerId'] }],
        order: [[Order, 'number', 'DESC']],
      });
      const [customer] = plain(found) as { name: string; orders: { number: number }[] }[];
      assert.equal(customer!.name, 'Grace');
      assert.deepEqual(
        customer!.orders.map((order) => order.number),
        [2, 1],
      );
      assert.equal(await Order.count(), 2);
    });

    test('aggregates, groups and order over all shards', async () => {
      assert.equal(await Customer.count(), 60);
      assert.equal(await Order.sum('total'), 42);
      const groups = await Customer.findAll({
        attributes: ['country', [sequelize.fn('COUNT', sequelize.col('id')), 'n']],
        group: ['country'],
        order: [['country', 'ASC']],
      });
      assert.deepEqual(plain(groups), [
        { country: 'FI', n: 1 },
        { country: 'NO', n: 30 },
        { country: 'SE', n: 29 },
      ]);
      const some = await Customer.findAll({
        attributes: ['id'],
        where: { id: { [Op.in]: [id(1), id(2), id(3), id(4)] } },
        order: [['id', 'ASC']],
        limit: 2,
        offset: 1,
      });
      assert.deepEqual(plain(some), [{ id: id(2) }, { id: id(3) }]);
    });

    test('raw SQL with a scatter', async () => {
      const rows = await sequelize.query('SELECT count(*) AS n FROM customers WHERE name LIKE :pattern', {
        replacements: { pattern: 'customer%' },
        type: QueryTypes.SELECT,
      });
      assert.deepEqual(rows, [{ n: 58 }]);
    });
  });
}
