# Packages the accelerator as an IP core for Vivado's IP Integrator:
#
#     arrayloom verilog --config edge -o rtl/
#     vivado -mode batch -source docs/vivado/package_ip.tcl -tclargs rtl/arrayloom_edge.v ip/
#
# Not tested: Vivado is not available where Arrayloom is developed.

lassign $argv verilog folder
if {$verilog eq "" || $folder eq ""} { error "usage: -tclargs ARRAYLOOM.v FOLDER" }

create_project -in_memory -part xc7z020clg400-1
add_files -norecurse $verilog
set_property top arrayloom [current_fileset]
update_compile_order -fileset sources_1
ipx::package_project -root_dir $folder -vendor arrayloom -library cores -taxonomy /UserIP -import_files -set_current true
set core [ipx::current_core]
set_property name arrayloom $core
set_property display_name "Arrayloom accelerator" $core

# Replace Vivado's guesses from names by the actual port definitions.
foreach bus [ipx::get_bus_interfaces -of_objects $core] { ipx::remove_bus_interface [get_property name $bus] $core }

proc add_bus {core name kind mode} {
    set bus [ipx::add_bus_interface $name $core]
    set_property abstraction_type_vlnv xilinx.com:${kind}_rtl:1.0 $bus
    set_property bus_type_vlnv xilinx.com:${kind}:1.0 $bus
    set_property interface_mode $mode $bus
    return $bus
}

proc map_port {bus logical physical} {
    set map [ipx::add_port_map $logical $bus]
    set_property physical_name $physical $map
}

proc add_axi {core name mode prefix} {
    set bus [add_bus $core $name interface:aximm $mode]
    foreach port [ipx::get_ports -of_objects $core] {
        set physical [get_property name $port]
        if {[string first "${prefix}__" $physical] == 0} {
            map_port $bus [string toupper [string range $physical [string length "${prefix}__"] end]] $physical
        }
    }
    return $bus
}

proc set_parameter {bus name value} {
    set_property value $value [ipx::add_bus_parameter $name $bus]
}

set memory [add_axi $core m_axi master axi]
foreach {name value} {PROTOCOL AXI4 MAX_BURST_LENGTH 16 NUM_READ_OUTSTANDING 16 NUM_WRITE_OUTSTANDING 16
                      SUPPORTS_NARROW_BURST 0 HAS_LOCK 0 HAS_REGION 0} { set_parameter $memory $name $value }
set space [ipx::add_address_space m_axi $core]
set_property range [expr {1 << 40}] $space
set_property width 40 $space
set_property master_address_space_ref m_axi $memory

set control [add_axi $core s_axi slave axil]
set_parameter $control PROTOCOL AXI4LITE
set map [ipx::add_memory_map s_axi $core]
set_property slave_memory_map_ref s_axi $control
set_property range 4096 [ipx::add_address_block registers $map]

set clock [add_bus $core clk signal:clock slave]
map_port $clock CLK clk
set_parameter $clock ASSOCIATED_BUSIF m_axi:s_axi
set_parameter $clock ASSOCIATED_RESET rst

set reset [add_bus $core rst signal:reset slave]
map_port $reset RST rst
set_parameter $reset POLARITY ACTIVE_HIGH

set interrupt [add_bus $core irq signal:interrupt master]
map_port $interrupt INTERRUPT irq
set_parameter $interrupt SENSITIVITY LEVEL_HIGH

ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::check_integrity $core
ipx::save_core $core
