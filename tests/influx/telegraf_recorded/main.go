// Sends metrics through Telegraf's influxdb output to the address in the first argument, so that the requests can be
// recorded; the second argument is more of the output's configuration.
package main

import (
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/influxdata/telegraf"
	"github.com/influxdata/telegraf/metric"
	"github.com/influxdata/telegraf/plugins/outputs"
	_ "github.com/influxdata/telegraf/plugins/outputs/influxdb"
	"github.com/influxdata/toml"
)

type logger struct{}

func (logger) Errorf(f string, a ...interface{}) { fmt.Fprintf(os.Stderr, "E "+f+"\n", a...) }
func (logger) Error(a ...interface{})            { fmt.Fprintln(os.Stderr, a...) }
func (logger) Debugf(f string, a ...interface{}) {}
func (logger) Debug(a ...interface{})            {}
func (logger) Warnf(f string, a ...interface{})  { fmt.Fprintf(os.Stderr, "W "+f+"\n", a...) }
func (logger) Warn(a ...interface{})             { fmt.Fprintln(os.Stderr, a...) }
func (logger) Infof(f string, a ...interface{})  {}
func (logger) Info(a ...interface{})             {}

func main() {
	out := outputs.Outputs["influxdb"]()
	config := fmt.Sprintf("urls = [%q]\ndatabase = \"telegraf\"\nusername = \"telegraf\"\npassword = \"password of telegraf\"\n%s", os.Args[1], os.Args[2])
	if err := toml.Unmarshal([]byte(config), out); err != nil {
		panic(err)
	}
	if log := reflect.ValueOf(out).Elem().FieldByName("Log"); log.IsValid() && log.CanSet() {
		log.Set(reflect.ValueOf(logger{}))
	}
	if i, ok := out.(telegraf.Initializer); ok {
		if err := i.Init(); err != nil {
			panic(err)
		}
	}
	if err := out.Connect(); err != nil {
		fmt.Fprintln(os.Stderr, "connect:", err)
	}
	at := time.Unix(1700000000, 0)
	m := func(name string, tags map[string]string, fields map[string]interface{}, at time.Time) telegraf.Metric {
		return metric.New(name, tags, fields, at)
	}
	metrics := []telegraf.Metric{
		m("cpu", map[string]string{"cpu": "cpu-total", "host": "server01"}, map[string]interface{}{"usage_idle": 97.25, "usage_user": 1.5, "usage_system": 0.75}, at),
		m("cpu", map[string]string{"cpu": "cpu0", "host": "server01"}, map[string]interface{}{"usage_idle": 95.5, "usage_user": 3.0, "usage_system": 1.5}, at),
		m("mem", map[string]string{"host": "server01"}, map[string]interface{}{"free": int64(1840226304), "used_percent": 41.7, "huge": uint64(18446744073709551615)}, at),
		m("disk", map[string]string{"device": "sda1", "fstype": "ext4", "host": "server01", "mode": "rw", "path": "/srv/my data"}, map[string]interface{}{"free": int64(5), "inodes_free": int64(7)}, at.Add(10*time.Second)),
		m("system", map[string]string{"host": "server01"}, map[string]interface{}{"uptime_format": "3 days, \"4\":05", "load1": 0.25, "n_users": int64(2), "ok": true}, at.Add(10*time.Second)),
		m("net,odd name", map[string]string{"interface": "eth=0,1", "host": "server01"}, map[string]interface{}{"bytes sent": int64(12), "path\\x": "c:\\dir\\"}, at.Add(20*time.Second+123456789)),
	}
	if err := out.Write(metrics); err != nil {
		fmt.Fprintln(os.Stderr, "write:", err)
	}
	out.Close()
}
