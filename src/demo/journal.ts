/** What the shop was told about one order. */
export interface OrderFacts {
  readonly customerId: string;
  readonly totalCents: number;
  readonly itemCount: number;
  readonly status: string;
}

/**
 * Every write that was acknowledged to the application, kept by the application itself: what the databases must hold at
 * the end. A write that ended in an error may or may not have happened; what it concerns is remembered as uncertain.
 */
export class Journal {
  readonly orders = new Map<string, OrderFacts>();
  /** Orders whose deletion was acknowledged. */
  readonly cancelled = new Set<string>();
  /** Points of each customer, by id. */
  readonly points = new Map<string, number>();
  readonly uncertain = new Set<string>();
  acknowledgedWrites = 0;

  customerJoined(customerId: string): void {
    this.points.set(customerId, 0);
    this.acknowledgedWrites++;
  }

  orderPlaced(orderId: string, facts: OrderFacts): void {
    this.orders.set(orderId, facts);
    this.acknowledgedWrites++;
  }

  statusChanged(orderId: string, status: string): void {
    const facts = this.orders.get(orderId);
    if (facts !== undefined) this.orders.set(orderId, { ...facts, status });
    this.acknowledgedWrites++;
  }

  orderCancelled(orderId: string): void {
    this.orders.delete(orderId);
    this.cancelled.add(orderId);
    this.acknowledgedWrites++;
  }

  pointsAdded(customerId: string, points: number): void {
    this.points.set(customerId, (this.points.get(customerId) ?? 0) + points);
    this.acknowledgedWrites++;
  }

  outcomeUnknown(...ids: string[]): void {
    for (const id of ids) this.uncertain.add(id);
  }
}
