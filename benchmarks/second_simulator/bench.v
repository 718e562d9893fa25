// The core between an AXI4 memory and a host that executes a list of register accesses.
//
// The same text serves every simulator: the core's inputs change by nonblocking assignments at the clock edge, and stalls
// come from the bench's own generator, so two simulators run the same cycles.
//
// +memory=FILE   the memory's words before the run, for $readmemh
// +after=FILE    file for its words after the run, for $writememh
// +host=FILE     the host's actions: words of 48 bits, 4 for the action, 12 for the address, 32 for the value
// +stall=N       chance in 256 that a ready or a new valid is delayed in a cycle
// +seed=N        seed of the stalls
// +latency=N     cycles from a burst to its first word or response
// +limit=N       cycles that the host waits for the interrupt
`timescale 1ns / 1ps

module bench;
  parameter WORD_BYTES = 4;
  parameter MEMORY_WORDS = 1024;
  parameter [39:0] BASE = 40'h0;
  parameter HOST_STEPS = 64;
  localparam WORD_BITS = 8 * WORD_BYTES;
  localparam BURSTS = 16;
  localparam RESET_CYCLES = 8;
  // The host's actions.
  localparam [3:0] WRITE = 1, READ = 2, WAIT = 3, END = 4;

  reg clk = 0;
  always #5 clk = ~clk;

  reg rst = 1;
  wire core_reset = 0;
  wire irq;

  wire axi__arvalid, axi__rready, axi__awvalid, axi__wvalid, axi__wlast, axi__bready;
  wire [1:0] axi__arid, axi__arburst, axi__awid, axi__awburst;
  wire [39:0] axi__araddr, axi__awaddr;
  wire [7:0] axi__arlen, axi__awlen;
  wire [2:0] axi__arsize, axi__arprot, axi__awsize, axi__awprot;
  wire [3:0] axi__arcache, axi__arqos, axi__awcache, axi__awqos;
  wire [WORD_BITS-1:0] axi__wdata;
  wire [WORD_BYTES-1:0] axi__wstrb;
  wire axi__arready, axi__awready, axi__wready;
  reg axi__rvalid = 0, axi__rlast = 0, axi__bvalid = 0;
  reg [1:0] axi__rid = 0, axi__rresp = 0, axi__bid = 0, axi__bresp = 0;
  reg [WORD_BITS-1:0] axi__rdata = 0;

  reg axil__awvalid = 0, axil__wvalid = 0, axil__arvalid = 0, axil__bready = 0, axil__rready = 0;
  reg [11:0] axil__awaddr = 0, axil__araddr = 0;
  reg [31:0] axil__wdata = 0;
  reg [3:0] axil__wstrb = 0;
  wire axil__awready, axil__wready, axil__arready, axil__bvalid, axil__rvalid;
  wire [1:0] axil__bresp, axil__rresp;
  wire [31:0] axil__rdata;

  wire trace__valid, events__running;
  wire [19:0] trace__address;
  wire [WORD_BITS-1:0] trace__data;
  wire [7:0] events__retired;
  wire [31:0] events__causes;

  arrayloom core (
    .clk(clk), .rst(rst), .core_reset(core_reset), .irq(irq),
    .axi__arvalid(axi__arvalid), .axi__arready(axi__arready), .axi__araddr(axi__araddr), .axi__arid(axi__arid),
    .axi__arlen(axi__arlen), .axi__arsize(axi__arsize), .axi__arburst(axi__arburst), .axi__arprot(axi__arprot),
    .axi__arcache(axi__arcache), .axi__arqos(axi__arqos),
    .axi__rvalid(axi__rvalid), .axi__rready(axi__rready), .axi__rid(axi__rid), .axi__rdata(axi__rdata),
    .axi__rresp(axi__rresp), .axi__rlast(axi__rlast),
    .axi__awvalid(axi__awvalid), .axi__awready(axi__awready), .axi__awaddr(axi__awaddr), .axi__awid(axi__awid),
    .axi__awlen(axi__awlen), .axi__awsize(axi__awsize), .axi__awburst(axi__awburst), .axi__awprot(axi__awprot),
    .axi__awcache(axi__awcache), .axi__awqos(axi__awqos),
    .axi__wvalid(axi__wvalid), .axi__wready(axi__wready), .axi__wdata(axi__wdata), .axi__wstrb(axi__wstrb),
    .axi__wlast(axi__wlast),
    .axi__bvalid(axi__bvalid), .axi__bready(axi__bready), .axi__bid(axi__bid), .axi__bresp(axi__bresp),
    .axil__awvalid(axil__awvalid), .axil__awready(axil__awready), .axil__awaddr(axil__awaddr),
    .axil__wvalid(axil__wvalid), .axil__wready(axil__wready), .axil__wdata(axil__wdata), .axil__wstrb(axil__wstrb),
    .axil__bvalid(axil__bvalid), .axil__bready(axil__bready), .axil__bresp(axil__bresp),
    .axil__arvalid(axil__arvalid), .axil__arready(axil__arready), .axil__araddr(axil__araddr),
    .axil__rvalid(axil__rvalid), .axil__rready(axil__rready), .axil__rdata(axil__rdata), .axil__rresp(axil__rresp),
    .trace__valid(trace__valid), .trace__address(trace__address), .trace__data(trace__data),
    .events__running(events__running), .events__retired(events__retired), .events__causes(events__causes));

  // Settings

  reg [WORD_BITS-1:0] memory[0:MEMORY_WORDS-1];
  reg [47:0] host[0:HOST_STEPS-1];
  reg [8*512-1:0] file;
  integer stall, seed, latency, limit;
  reg [31:0] random;
  initial begin
    if ($value$plusargs("memory=%s", file)) $readmemh(file, memory);
    if ($value$plusargs("host=%s", file)) $readmemh(file, host);
    if (!$value$plusargs("stall=%d", stall)) stall = 0;
    if (!$value$plusargs("seed=%d", seed)) seed = 1;
    if (!$value$plusargs("latency=%d", latency)) latency = 1;
    if (!$value$plusargs("limit=%d", limit)) limit = 1000;
    random = seed | 32'h1;
  end

  // Stalls: one random bit per channel and cycle

  integer cycle = 0;
  reg ar_stall = 0, aw_stall = 0, w_stall = 0, r_stall = 0, b_stall = 0;

  function [31:0] next_random(input [31:0] value);   // xorshift
    begin
      next_random = value ^ (value << 13);
      next_random = next_random ^ (next_random >> 17);
      next_random = next_random ^ (next_random << 5);
    end
  endfunction

  reg [31:0] draw;
  always @(posedge clk) begin
    cycle <= cycle + 1;
    rst <= cycle < RESET_CYCLES;
    draw = next_random(random);
    {r_stall, w_stall, aw_stall, ar_stall} <= {draw[31:24] < stall, draw[23:16] < stall, draw[15:8] < stall, draw[7:0] < stall};
    draw = next_random(draw);
    b_stall <= draw[7:0] < stall;
    random <= draw;
  end

  // Reads: bursts are answered in order, each word unless it is stalled

  reg [39:0] ar_address[0:BURSTS-1];
  reg [7:0] ar_length[0:BURSTS-1];
  reg [1:0] ar_id[0:BURSTS-1];
  integer ar_due[0:BURSTS-1];
  reg [4:0] ar_in = 0, ar_out = 0;
  reg [7:0] r_beat = 0;
  wire [4:0] ar_count = ar_in - ar_out;
  assign axi__arready = !rst && !ar_stall && ar_count != BURSTS;

  function holds(input [39:0] address);
    holds = address >= BASE && address < BASE + MEMORY_WORDS * WORD_BYTES;
  endfunction

  reg [39:0] r_at;
  always @(posedge clk) begin
    if (axi__arvalid && axi__arready) begin
      ar_address[ar_in[3:0]] <= axi__araddr;
      ar_length[ar_in[3:0]] <= axi__arlen;
      ar_id[ar_in[3:0]] <= axi__arid;
      ar_due[ar_in[3:0]] <= cycle + latency;
      ar_in <= ar_in + 1'b1;
    end
    if (!axi__rvalid || axi__rready) begin
      axi__rvalid <= 0;
      if (ar_count != 0 && cycle >= ar_due[ar_out[3:0]] && !r_stall) begin
        r_at = ar_address[ar_out[3:0]] + r_beat * WORD_BYTES;
        axi__rvalid <= 1;
        axi__rid <= ar_id[ar_out[3:0]];
        axi__rdata <= holds(r_at) ? memory[(r_at - BASE) / WORD_BYTES] : {WORD_BITS{1'b0}};
        axi__rresp <= holds(r_at) ? 2'd0 : 2'd3;
        axi__rlast <= r_beat == ar_length[ar_out[3:0]];
        r_beat <= r_beat == ar_length[ar_out[3:0]] ? 8'd0 : r_beat + 1'b1;
        if (r_beat == ar_length[ar_out[3:0]]) ar_out <= ar_out + 1'b1;
      end
    end
  end

  // Writes: words are accepted once their burst is known

  reg [39:0] aw_address[0:BURSTS-1];
  reg [7:0] aw_length[0:BURSTS-1];
  reg [1:0] b_id[0:BURSTS-1];
  integer b_due[0:BURSTS-1];
  reg b_error[0:BURSTS-1];
  reg [4:0] aw_in = 0, w_out = 0, b_out = 0;
  reg [7:0] w_beat = 0;
  reg w_error = 0;
  wire [4:0] w_count = aw_in - w_out;
  wire [4:0] aw_count = aw_in - b_out;
  assign axi__awready = !rst && !aw_stall && aw_count != BURSTS;
  assign axi__wready = !rst && !w_stall && w_count != 0;

  reg [39:0] w_at;
  integer lane;
  always @(posedge clk) begin
    if (axi__awvalid && axi__awready) begin
      aw_address[aw_in[3:0]] <= axi__awaddr;
      aw_length[aw_in[3:0]] <= axi__awlen;
      b_id[aw_in[3:0]] <= axi__awid;
      aw_in <= aw_in + 1'b1;
    end
    if (axi__wvalid && axi__wready) begin
      w_at = aw_address[w_out[3:0]] + w_beat * WORD_BYTES;
      if (holds(w_at)) begin
        for (lane = 0; lane < WORD_BYTES; lane = lane + 1)
          if (axi__wstrb[lane]) memory[(w_at - BASE) / WORD_BYTES][8*lane +: 8] <= axi__wdata[8*lane +: 8];
      end
      w_beat <= axi__wlast ? 8'd0 : w_beat + 1'b1;
      w_error <= !axi__wlast && (w_error || !holds(w_at));
      if (axi__wlast) begin
        b_due[w_out[3:0]] <= cycle + latency;
        b_error[w_out[3:0]] <= w_error || !holds(w_at);
        w_out <= w_out + 1'b1;
      end
    end
    if (!axi__bvalid || axi__bready) begin
      axi__bvalid <= 0;
      if (b_out != w_out && cycle >= b_due[b_out[3:0]] && !b_stall) begin
        axi__bvalid <= 1;
        axi__bid <= b_id[b_out[3:0]];
        axi__bresp <= b_error[b_out[3:0]] ? 2'd3 : 2'd0;
        b_out <= b_out + 1'b1;
      end
    end
  end

  // The host

  integer step = 0, waited = 0;
  reg asked = 0;
  wire [3:0] what = host[step][47:44];
  wire [11:0] address = host[step][43:32];
  wire [31:0] value = host[step][31:0];

  always @(posedge clk) if (cycle > RESET_CYCLES + 2) begin
    if (axil__awready) axil__awvalid <= 0;
    if (axil__wready) axil__wvalid <= 0;
    if (axil__arready) axil__arvalid <= 0;
    case (what)
      WRITE:
        if (!asked) begin
          {axil__awvalid, axil__wvalid, axil__bready, asked} <= 4'hf;
          {axil__awaddr, axil__wdata, axil__wstrb} <= {address, value, 4'hf};
        end else if (axil__bvalid) begin
          if (axil__bresp !== 0) $display("refused write %h %h", address, axil__bresp);
          {axil__bready, asked} <= 0;
          step <= step + 1;
        end
      READ:
        if (!asked) begin
          {axil__arvalid, axil__rready, asked} <= 3'h7;
          axil__araddr <= address;
        end else if (axil__rvalid) begin
          if (axil__rresp !== 0) $display("refused read %h %h", address, axil__rresp);
          $display("read %h %h", address, axil__rdata);
          {axil__rready, asked} <= 0;
          step <= step + 1;
        end
      WAIT: begin
        waited <= waited + 1;
        if (irq || waited == limit) begin
          if (!irq) $display("hangs %0d", waited);
          step <= step + 1;
        end
      end
      default: begin
        if (what !== END) $display("refused host %h", what);
        $display("unknown %0d breaches %0d words %0d cycles %0d", unknown, breaches, words, cycle);
        if ($value$plusargs("after=%s", file)) $writememh(file, memory);
        $finish;
      end
    endcase
  end

  // Unknown outputs: valid signals at any time, the others only while valid. Bytes of a write count only
  // if their strobe is set.

  integer unknown = 0, breaches = 0, words = 0;
  wire [WORD_BITS-1:0] strobed;
  genvar byte_lane;
  generate
    for (byte_lane = 0; byte_lane < WORD_BYTES; byte_lane = byte_lane + 1) begin : strobes
      assign strobed[8*byte_lane +: 8] = axi__wdata[8*byte_lane +: 8] & {8{axi__wstrb[byte_lane]}};
    end
  endgenerate
  wire [58:0] ar = {axi__arid, axi__araddr, axi__arlen, axi__arsize, axi__arburst, axi__arcache};
  wire [58:0] aw = {axi__awid, axi__awaddr, axi__awlen, axi__awsize, axi__awburst, axi__awcache};
  wire [11:0] signals = {irq, axi__arvalid, axi__rready, axi__awvalid, axi__wvalid, axi__bready, axil__awready, axil__wready,
                         axil__bvalid, axil__arready, axil__rvalid, trace__valid};

  task expect_known(input known, input [8*12-1:0] name);
    if (!known) begin
      if (unknown < 20) $display("unknown output %0s in cycle %0d", name, cycle);
      unknown = unknown + 1;
    end
  endtask

  always @(posedge clk) if (cycle > RESET_CYCLES) begin
    expect_known(^signals !== 1'bx, "a handshake");
    expect_known(^{events__running, events__retired, events__causes} !== 1'bx, "events");
    expect_known(axi__arvalid !== 1 || ^{ar, axi__arprot, axi__arqos} !== 1'bx, "ar");
    expect_known(axi__awvalid !== 1 || ^{aw, axi__awprot, axi__awqos} !== 1'bx, "aw");
    expect_known(axi__wvalid !== 1 || ^{strobed, axi__wstrb, axi__wlast} !== 1'bx, "w");
    expect_known(axil__bvalid !== 1 || ^axil__bresp !== 1'bx, "axil b");
    expect_known(axil__rvalid !== 1 || ^{axil__rdata, axil__rresp} !== 1'bx, "axil r");
    expect_known(trace__valid !== 1 || ^{trace__address, trace__data} !== 1'bx, "trace");
    if (trace__valid === 1) words <= words + 1;
  end
  // Checks that an offer stays until it is accepted, and that a write has the length of its burst

  reg [58:0] ar_before = 0, aw_before = 0;
  reg [WORD_BITS+WORD_BYTES:0] w_before = 0;
  reg ar_offered = 0, aw_offered = 0, w_offered = 0;
  wire [WORD_BITS+WORD_BYTES:0] w_now = {strobed, axi__wstrb, axi__wlast};

  always @(posedge clk) if (cycle > RESET_CYCLES) begin
    {ar_offered, aw_offered, w_offered} <= {axi__arvalid && !axi__arready, axi__awvalid && !axi__awready,
                                            axi__wvalid && !axi__wready};
    {ar_before, aw_before, w_before} <= {ar, aw, w_now};
    if ((ar_offered && (!axi__arvalid || ar !== ar_before)) || (aw_offered && (!axi__awvalid || aw !== aw_before)) ||
        (w_offered && (!axi__wvalid || w_now !== w_before)) ||
        (axi__wvalid && axi__wready && axi__wlast !== (w_beat == aw_length[w_out[3:0]])))
      breaches <= breaches + 1;
  end
endmodule
